"""The released AdapLeR code's own count of FLOPs for BERT-base, whose constants it does not explain."""

import numpy as np


def official_bert_flops(lengths, classes):
    """Of the dense model on texts of these lengths."""
    n = np.asarray(lengths, dtype=np.float64)
    return 37872 * n**2 + 170216500 * n + 1181953 + 1537 * classes


def official_adapler_flops(kept, classes):
    """Of AdapLeR, `kept` [L,B] the tokens that each of the 12 layers works on."""
    n = np.asarray(kept, dtype=np.float64)
    return 1183537 + 1537 * (classes - 1) + 6152 * n[0] + (3156 * n**2 + 14233554 * n).sum(0)
