"""Rows of exports as the tools write them, two texts each: one bad film, one good."""

from __future__ import annotations


def span(start, end, text, label="Reason", **more):
    value = {"start": start, "end": end, "text": text, "labels": [label]}
    return {"id": f"r{start}", "from_name": "why", "to_name": "text", "type": "labels", "value": value} | more


def choice(name, *labels):
    value = {"choices": list(labels)}
    return {"id": "c", "from_name": name, "to_name": "text", "type": "choices", "value": value}


def task(id, text, *annotations, **data):
    return {"id": id, "data": {"text": text, **data}, "annotations": list(annotations), "predictions": []}


def annotation(by, *results, **more):
    return {"id": 10, "completed_by": by, "was_cancelled": False, "result": list(results)} | more


TASKS = [
    task(1, "A truly awful film.", annotation(2, span(2, 13, "truly awful"), choice("sentiment", "NEG"))),
    task(2, "A warm film.", annotation(2, span(2, 6, "warm"), choice("sentiment", "POS"))),
]
MIN = [
    {"id": 1, "text": "A truly awful film.", "sentiment": "NEG", "annotator": 2, "annotation_id": 10,
     "lead_time": 1.5, "label": [{"start": 2, "end": 13, "text": "truly awful", "labels": ["Reason"]}]},
    {"id": 2, "text": "A warm film.", "sentiment": "POS", "annotator": 2, "annotation_id": 11,
     "lead_time": 1.5},
]  # fmt: skip


def spans(*pairs):
    return [{"start": s, "end": e, "label": "R"} for s, e in pairs]


NESTED = [
    {
        "id": "r1",
        "fields": {"text": "A truly awful film."},
        "metadata": {},
        "suggestions": {"why": {"value": spans((0, 1)), "score": None, "agent": "model"}},
        "responses": {
            "why": [{"value": spans((2, 7)), "user_id": "u1"}, {"value": spans((8, 13)), "user_id": "u2"}],
            "class": [{"value": "NEG", "user_id": "u1"}, {"value": "NEG", "user_id": "u2"}],
        },
        "vectors": {},
    },
    {
        "id": "r2",
        "fields": {"text": "A warm film."},
        "metadata": {},
        "suggestions": {"why": {"value": spans((2, 6))}, "class": {"value": "POS"}},
        "responses": {},
        "vectors": {},
    },
]
FLAT = [
    {
        "id": "r1",
        "status": "completed",
        "text": "A truly awful film.",
        "why.responses": [spans((2, 7)), spans((8, 13)), []],
        "why.responses.users": ["u1", "u2", "u3"],
        "why.responses.status": ["submitted", "submitted", "draft"],
        "class.responses": ["NEG", "NEG"],
        "class.responses.users": ["u1", "u2"],
        "class.responses.status": ["submitted", "submitted"],
        "why.suggestion": spans((0, 1)),
        "class.suggestion": None,
    },
    {
        "id": "r2",
        "status": "pending",
        "text": "A warm film.",
        "why.responses": None,
        "why.suggestion": spans((2, 6)),
        "class.suggestion": "POS",
    },
]


def prodigy_row(text, spans, answer="accept", **more):
    found = [{"start": s, "end": e, "token_start": 1, "token_end": 2, "label": "R"} for s, e in spans]
    return {"text": text, "spans": found, "answer": answer, "_task_hash": len(text), **more}


PRODIGY_NEG = prodigy_row("A truly awful film.", [(2, 13)], accept=["NEG"])
PRODIGY_POS = prodigy_row("A warm film.", [(2, 6)], accept=["POS"])
