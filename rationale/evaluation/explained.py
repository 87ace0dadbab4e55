"""Which model methods explain: the one that answers, or one that reads the same pieces."""

from __future__ import annotations

from dataclasses import replace

from eraser import Fault, InputError
from rationale.text_classifier import TextClassifier


def explained_by(classifier: TextClassifier, dense: TextClassifier | None) -> TextClassifier:
    """Return what attention and gradient methods explain: another model must read the same pieces."""
    if classifier.opaque and dense is None:
        return classifier
    from rationale.hf.classifier import Classifier, without_removal  # not for a function of texts

    if dense is None:
        return without_removal(classifier)
    if not (isinstance(dense, Classifier) and isinstance(classifier, Classifier)):
        raise InputError(Fault.of("a function of texts is explained itself; leave --dense out"))
    same = dense.encoder.tokenizer.get_vocab() == classifier.encoder.tokenizer.get_vocab()
    if not same or (dense.labels, dense.head) != (classifier.labels, classifier.head):
        message = "--dense has a different vocabulary or labels than --model"
        raise InputError(Fault.of(f"{message}; give the dense model that --model was made from"))
    room, wanted = dense.encoder.max_length, classifier.encoder.max_length
    if room < wanted:
        raise InputError(Fault(f"a dense model that reads {wanted} pieces, as the model does", str(room)))
    return replace(without_removal(dense), encoder=classifier.encoder)
