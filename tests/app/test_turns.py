"""Sessions take turns on one model, layer by layer; a text nobody looks at any more is left half way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event, Thread, current_thread

import numpy as np
import pytest
import torch
from rationale_viewer.compute.explain import methods_of, read, score, text_of, times_of
from rationale_viewer.session import state, turns
from rationale_viewer.session.state import LoadedModel
from rationale_viewer.session.turns import Turn, Turns
from streamlit.testing.v1 import AppTest

from rationale.attribution import carried
from rationale.attribution.carried import carrier_of
from rationale.blackbox import from_callable
from rationale.models.packed.known import twin
from rationale.pass_cache import PassCache

WORDS = tuple("a warm , moving film . never dull , and the cast is a joy".split())
LONG = WORDS * 60
PATIENCE_S = 60


class Gone(BaseException):
    """What Streamlit raises is no Exception either."""


@pytest.fixture
def held(adaptive):
    return LoadedModel("adaptive", adaptive)


def unchecked():
    pass


def wait_until(so):
    for _ in range(PATIENCE_S * 100):
        if so():
            return
        Event().wait(0.01)
    raise AssertionError("never")


# ── a model of one's own ────────────────────────────────────────────────────────────────────────────────


def test_a_twin_has_the_same_weights_and_nothing_else(classifier):
    model, carrier = classifier.model, carrier_of(classifier)
    other = twin(model)
    ids = torch.tensor([[2, 5, 6, 7, 3]])
    assert torch.equal(other(input_ids=ids).logits, model(input_ids=ids).logits)
    assert all(a is b for a, b in zip(other.parameters(), model.parameters(), strict=True))
    assert not {*other.modules()} & {*model.modules()}
    assert other.config is not model.config
    known = carrier_of(replace(classifier, model=other))
    assert known.projection in {*other.modules()}  # what is known of the other is known of its own parts
    assert dict(other.named_modules())[name_of(carrier.projection, model)] is known.projection


def name_of(module, model):
    return next(name for name, m in model.named_modules() if m is module)


def test_what_is_known_of_a_model_is_not_found_out_again(classifier, monkeypatch):
    carrier_of(classifier)
    monkeypatch.setattr(carried, "_watch", lambda classifier: pytest.fail("found out again"))
    carrier_of(replace(classifier, model=twin(classifier.model)))


def test_what_was_found_out_half_way_is_known_to_the_next(held):
    """Else it would be found out in passes whose layers are timed, and be counted there."""
    reading = read(held, text_of(WORDS), 1.0)
    times_of(held, reading, 1.0)
    with pytest.raises(Gone), held.at_dial(1.0):
        raise Gone
    assert not held.spare
    assert times_of(held, reading, 1.0).seconds.shape == reading.layers.flops.shape


# ── whose turn it is ────────────────────────────────────────────────────────────────────────────────────


def test_a_short_text_is_answered_while_a_long_one_is_computed(held, monkeypatch):
    long, done = read(held, text_of(LONG), 1.0), []

    def compute():
        score(held, long, ["integrated_gradients"], 1.0, "POS")
        done.append("long")

    first = Thread(target=compute)

    def check():  # the long text's first step waits for the short text to come
        if current_thread() is first and "came" not in done:
            wait_until(lambda: len(held.turns.queue) == 2)
            done.append("came")

    monkeypatch.setattr(state, "still_wanted", check)
    first.start()
    wait_until(lambda: held.turns.queue)
    read(held, text_of(WORDS), 1.0)
    done.append("short")
    first.join()
    assert done == ["came", "short", "long"]


def test_those_who_take_turns_do_not_mix(held):
    """Each method, with hooks, attention functions and random numbers of its own, beside each other."""
    reading, methods = read(held, text_of(WORDS), 1.0), methods_of(held)
    alone = {m: score(held, reading, [m], 1.0, "POS")[m].scores for m in methods}
    passed_on = []

    def check():
        passed_on.append(len(held.turns.queue) > 1)

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(4) as pool:
        patch.setattr(state, "still_wanted", check)
        found = list(pool.map(lambda m: score(held, reading, [m], 1.0, "POS")[m].scores, methods))
    assert any(passed_on)
    for method, scores in zip(methods, found, strict=True):
        np.testing.assert_allclose(scores, alone[method], rtol=1e-6, atol=1e-9, err_msg=method)


def test_who_waits_longest_is_next():
    queue, order = Turns(), []

    def work(name):
        with queue.turn(unchecked) as turn:
            for _ in range(2):
                order.append(name)
                turn.step()

    with queue.turn(unchecked):
        workers = [Thread(target=work, args=[name]) for name in "abc"]
        for n, worker in enumerate(workers, start=2):
            worker.start()
            wait_until(lambda n=n: len(queue.queue) == n)
    for worker in workers:
        worker.join()
    assert "".join(order) == "abcabc"


def test_nobody_is_let_in_where_time_is_measured():
    queue = Turns()
    with queue.turn(unchecked) as turn:
        queue.queue.append(Turn(queue, unchecked))
        turn.alone = True
        turn.step()
        assert queue.queue[0] is turn


def test_waiting_for_others_is_no_cost_of_a_method(monkeypatch):
    queue, passes = Turns(), PassCache(saved=5.0)
    other = Turn(queue, unchecked)
    now = iter([10.0, 17.0, 20.0])
    with queue.turn(unchecked) as turn:
        turn.passes = (passes,)
        queue.queue.append(other)
        monkeypatch.setattr(turns.time, "perf_counter", lambda: next(now))
        waiter = Thread(target=lambda: (wait_until(lambda: queue.queue[0] is other), other.end()))
        waiter.start()
        turn.step()
        waiter.join()
        assert (turn.waited, passes.saved, turn.clock()) == (7.0, -2.0, 13.0)


# ── what is no longer wanted ────────────────────────────────────────────────────────────────────────────


def leave(monkeypatch, after):
    """Let the reader move on at a step; return a list of the steps that were begun."""
    steps = []

    def check():
        steps.append(1)
        if len(steps) > after:
            raise Gone

    monkeypatch.setattr(state, "still_wanted", check)
    return steps


@pytest.mark.parametrize("method", ["attention", "integrated_gradients", "lime", "survivors"])
def test_what_nobody_waits_for_is_left_half_way(held, monkeypatch, method):
    reading = read(held, text_of(LONG), 1.0)
    wanted = score(held, reading, [method], 1.0, "POS")[method].scores
    with monkeypatch.context() as patch:
        steps = leave(patch, after=2)
        with pytest.raises(Gone):
            score(held, reading, [method], 1.0, "POS")
    assert len(steps) == 3
    assert not held.turns.queue
    np.testing.assert_allclose(score(held, reading, [method], 1.0, "POS")[method].scores, wanted, rtol=1e-6)


def test_who_waits_in_vain_goes():
    queue = Turns()

    def gone():
        raise Gone

    with queue.turn(unchecked) as turn:
        with pytest.raises(Gone), queue.turn(gone):
            pytest.fail("it was not its turn")
        assert list(queue.queue) == [turn]


def test_a_function_is_asked_no_more(monkeypatch):
    calls = []

    def answer(texts):
        calls.append(len(texts))
        return [[0.5, 0.5]] * len(texts)

    held = LoadedModel("f", from_callable(answer, ("NEG", "POS"), batch_size=4))
    reading = read(held, text_of(WORDS), 1.0)
    calls.clear()
    with monkeypatch.context() as patch:
        leave(patch, after=2)
        with pytest.raises(Gone):
            score(held, reading, ["leave_one_out"], 1.0, "POS")
    assert calls == [4, 4]
    assert not held.turns.queue


def page():
    """A page that reads a text again and again; in the fifth pass its server is asked to stop it."""
    import streamlit as st
    from streamlit.runtime.scriptrunner import get_script_run_ctx

    from tests.app import test_turns as test

    requests = get_script_run_ctx().script_requests
    held, steps = test.SHOWN["held"], test.SHOWN["steps"]

    def count(*_):
        steps.append(1)
        if len(steps) == 5:
            requests.request_stop()

    with held.at_dial(1.0) as own:
        own.model.get_input_embeddings().register_forward_hook(count)
        test.SHOWN["compute"](own)
    st.text("all was computed")


SHOWN: dict = {}


def test_streamlit_s_word_that_a_page_is_gone_is_heard(held):
    ids = torch.tensor([[2, 5, 6, 3]])

    def compute(classifier):
        for _ in range(100):
            classifier.model(input_ids=ids, attention_mask=torch.ones_like(ids))

    SHOWN.update(held=held, steps=[], compute=compute)
    at = AppTest.from_function(page).run()
    assert not at.exception
    assert len(SHOWN["steps"]) == 5  # the sixth pass was not begun
    assert not at.text
    assert not held.turns.queue
