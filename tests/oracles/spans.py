"""The official scorer's hard block rewritten slowly, with a set of tokens for every span.

`gold` and `predicted` are sets of (pair, start, end).
"""

from __future__ import annotations


def tokens(spans):
    return {(pair, token) for pair, start, end in spans for token in range(start, end)}


def of(pair, items):
    return {item for item in items if item[0] == pair}


def f1(p, r):
    return 0 if p == 0 or r == 0 else 2 * p * r / (p + r)


def prf(predicted, gold):
    def ratio(part, whole):
        return len(part) / len(whole) if whole else 0

    pairs = {item[0] for item in predicted | gold}
    each = []
    for pair in pairs:
        p, g = of(pair, predicted), of(pair, gold)
        each.append((ratio(p & g, p), ratio(p & g, g)))
    n = len(each)
    p, r = ratio(predicted & gold, predicted), ratio(predicted & gold, gold)
    return {
        "instance_micro": {"p": p, "r": r, "f1": f1(p, r)},
        "instance_macro": {
            "p": sum(p for p, _ in each) / n,
            "r": sum(r for _, r in each) / n,
            "f1": sum(f1(p, r) for p, r in each) / n,
        },
    }


def iou(a, b):
    either = tokens([a]) | tokens([b])
    return len(tokens([a]) & tokens([b])) / len(either) if either else 0


def iou_score(predicted, gold, threshold):
    hits = {p for p in predicted if max([iou(p, g) for g in of(p[0], gold)], default=0) >= threshold}
    ps = [len(of(pair, hits)) / len(of(pair, predicted)) for pair in {p[0] for p in predicted}]
    rs = [len(of(pair, hits)) / len(of(pair, gold)) for pair in {g[0] for g in gold}]
    micro, macro = (len(hits) / len(predicted), len(hits) / len(gold)), (sum(ps) / len(ps), sum(rs) / len(rs))
    return {
        "threshold": threshold,
        "micro": {"p": micro[0], "r": micro[1], "f1": f1(*micro)},
        "macro": {"p": macro[0], "r": macro[1], "f1": f1(*macro)},
    }
