"""What the methods and pages are about, in words for someone who sees them for the first time."""

from __future__ import annotations

from rationale_viewer.compute.explain import SLOW

PAGES = {
    "Explain": "A text goes in, the model answers, and the words that it used are coloured. "
    "Click one to see the answer without it.",
    "Annotators": "Words that annotators marked as evidence, and the rationale: words that a method picked "
    "as decisive.",
    "Errors": "What the model gets wrong, and which words decide there: spurious ones do again and again.",
    "Scores": "How well the methods of a run agree with human rationales, and with what the model does.",
    "Speed": "What dropping words saves in FLOPs and time, and what it costs in accuracy.",
}
TITLES = {
    "Explain": "Which words decided?",
    "Annotators": "Did annotators mark the same words?",
    "Errors": "Where is the model wrong, and by which words?",
    "Scores": "Which method for which purpose?",
    "Speed": "What does dropping words save?",
}
FREE, ONE_BACK, MANY, UNKNOWN = "free", "one backward pass", "many passes", "not known"
COSTS = {
    FREE: "read off the pass that gives the answer, or known without any",
    ONE_BACK: "the answer's gradient: about twice the time of the answer itself, on top of it",
    MANY: "the model reads tens to hundreds of changed texts: seconds",
    UNKNOWN: "not a method of this project",
}
OWN_COST = {
    FREE: ("survivors", "contribution", "attention", "attention_max", "attention_layers", "rollout",
           "value_norm", "learned", "position", "random"),
    ONE_BACK: ("attention_x_gradient", "saliency", "gradient_x_input", "gradient_x_input_l1",
               "gradient_x_input_l2", "attn_lrp", "gim"),
    MANY: tuple(sorted(SLOW)),
}  # fmt: skip
METHODS_SAY = {
    "survivors": "how many layers of the model worked on the word before dropping it",
    "contribution": "how much the model itself expected the word to matter, mean of its layers",
    "learned": "how probable it is that annotators would mark the word, as the model learned from them",
    "attention": "how much the last layer looks at the word",
    "attention_max": "how much the last layer looks at the word, by the head that looks most",
    "attention_layers": "how much the layers look at the word, mean of all",
    "rollout": "attention followed back through all layers to the word",
    "value_norm": "how much the last layer takes over from the word",
    "attention_x_gradient": "how much the last layer looks at the word, where that moves the answer",
    "saliency": "how steeply the answer changes with the word",
    "gradient_x_input": "what the word adds to the answer, at first approximation",
    "gradient_x_input_l1": "how much the word moves the answer either way, summed over its parts",
    "gradient_x_input_l2": "how much the word moves the answer either way, as a length",
    "integrated_gradients": "what the word adds to the answer on the way from an empty text to this one",
    "gradient_shap": "what the word adds to the answer at random points between an empty text and this one",
    "deeplift": "what the word adds to the answer, compared with an empty text",
    "attn_lrp": "the word's share of the answer, handed back from layer to layer by rules of conservation",
    "gim": "what the word adds to the answer, where attention could still have gone elsewhere",
    "leave_one_out": "how far the answer falls without the word",
    "occlusion": "how far the answer falls without a phrase around the word",
    "lime": "the word's weight in a simple model of the answer, fitted on parts of the text",
    "kernel_shap": "the word's fair share of the answer (Shapley value), estimated from parts of the text",
    "position": "only where the word stands, first words first: a baseline that methods must beat",
    "random": "nothing, drawn at random: a baseline that methods must beat",
}


def method_name(method: str) -> str:
    """Return how a method is listed on all pages: the address holds it so."""
    return f"{method} (slow)" if method in SLOW else method


def cost_of(method: str) -> str:
    """Return which of COSTS a method has."""
    return next((cost for cost, methods in OWN_COST.items() if method in methods), UNKNOWN)


def method_says(method: str) -> str:
    """Return what a method's score of a word is; of one that is not ours, its name alone."""
    return (
        f"{method}: {METHODS_SAY[method]}."
        if method in METHODS_SAY
        else f"{method}: not a method of this project."
    )
