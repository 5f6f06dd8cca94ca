"""Checks for the exercises of the chapter on semantic matching."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from cmrlib.cca.semantic import SCM, SM
from cmrlib.datasets import PairedDataset, make_hidden_signal
from cmrlib.evaluation import evaluate
from cmrlib.exercises import Answer, Wrong, close, exercise, shape, statements


@exercise("cca/semantic/posteriors")
def posteriors(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    Z, W, b = rng.normal(size=(5, 3)), rng.normal(size=(3, 4)), rng.normal(size=4)
    P = shape(answer(Z, W, b), (5, 4), "the posteriors")
    if np.allclose(P.sum(axis=0), 1):
        raise Wrong("The columns sum to 1: normalise over the classes of an item, axis 1.")
    close(P.sum(axis=1), np.ones(5), "The posteriors of each item must sum to 1.")
    if np.allclose(P, softmax(Z @ W, axis=1)):
        raise Wrong("The intercept b is missing.")
    close(P, softmax(Z @ W + b, axis=1), "These are not exp(score) / sum of exp(scores).")
    with np.errstate(all="ignore"):
        large = np.asarray(answer(1000 * Z, W, b))
    if not np.isfinite(large).all():
        raise Wrong(
            "Large scores overflow: subtract each row's largest score before the exponential; "
            "the posteriors stay as they are."
        )
    close(large, softmax(1000 * Z @ W + b, axis=1), "Large scores give wrong posteriors.")


@exercise("cca/semantic/gradient")
def gradient(answer: Answer) -> None:
    rng = np.random.default_rng(1)
    Z, W, C = rng.normal(size=(30, 3)), rng.normal(size=(3, 4)), 2.5
    L = np.eye(4)[rng.integers(4, size=30)]
    data = Z.T @ (softmax(Z @ W, axis=1) - L)
    G = shape(answer(W, Z, L, C), (3, 4), "the gradient")
    mistakes = {
        "The penalty is missing: the gradient of ½‖W‖² is W.": C * data,
        "The sign of the data term is wrong: it is Zᵀ(posteriors − labels).": W - C * data,
        "Divide by nothing: C weighs the sum over the items, not the mean.": W + C * data / 30,
        "C is missing, or weighs the penalty: it belongs to the data term.": W + data,
        "The penalty is ½‖W‖², so its gradient is W, not 2W.": 2 * W + C * data,
    }
    for why, wrong in mistakes.items():
        if np.allclose(G, wrong):
            raise Wrong(why)
    close(G, W + C * data, "This is not the gradient of the objective.")


@exercise("cca/semantic/changes")
def changes(answer: Answer) -> None:
    right = {
        "SM, partners exchanged within classes": (
            False,
            "each classifier sees its own modality and the labels, never a partner",
        ),
        "SCM, partners exchanged within classes": (
            True,
            "CCA learns from who is paired with whom, and comes first",
        ),
        "SM, half of the texts left out": (
            True,
            "the text classifier has fewer items to learn from, though images need no partners",
        ),
        "SM, classes renumbered": (
            False,
            "a cosine does not depend on the order of the coordinates",
        ),
        "SM, image features times 1000": (
            True,
            "the same posteriors now need weights a thousand times smaller, and the penalty feels "
            "that",
        ),
        "SCM with reg=0, image features times 1000": (
            False,
            "canonical variates have variance 1 whatever the scale of the features",
        ),
    }
    statements(answer, right)


@exercise("cca/semantic/same_class")
def same_class(answer: Answer) -> None:
    P = np.array([[0.9, 0.1], [0.5, 0.5]])
    Q = np.array([[1.0, 0.0], [0.2, 0.8], [0.5, 0.5]])
    S = shape(answer(P, Q), (2, 3), "the probabilities")
    unit = [A / np.linalg.norm(A, axis=1, keepdims=True) for A in (P, Q)]
    if np.allclose(S, unit[0] @ unit[1].T):
        raise Wrong(
            "This is the cosine. A probability needs no division by lengths: sum over the classes "
            "the chance that both items are of that class."
        )
    if np.allclose(S, P.max(axis=1)[:, None] * Q.max(axis=1)):
        raise Wrong("All classes count, not only the likeliest one of each item.")
    close(S, P @ Q.T, "Sum over the classes the chance that both items are of that class.")


@exercise("cca/semantic/order")
def order(answer: Answer) -> None:
    data = make_hidden_signal(200, 9, 8, n_classes=3, n_nuisance=4, random_state=0)
    train, test = data.split(test_size=0.25, random_state=0)
    given = answer(train, test, 5)
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise Wrong("Return two arrays: the posteriors of the test images and of the test texts.")
    P, Q = (shape(A, (len(test), 3), "posteriors") for A in given)
    close(P.sum(axis=1), np.ones(len(test)), "Posteriors must sum to 1: they come last, after CCA.")
    scm = SCM(5, C=1.0).fit(train.image, train.text, train.labels)
    sm = SM(C=1.0).fit(train.image, train.text, train.labels)
    if np.allclose(P, sm.encode_image(test.image), atol=1e-3):
        raise Wrong("These are posteriors of the features: classify their canonical variates.")
    close(P, scm.encode_image(test.image), "The posteriors of the images are off.", tol=1e-3)
    if np.allclose(
        Q, scm.sm_.classifier_image_.predict_proba(scm.cca_.encode_text(test.text)), 1e-3
    ):
        raise Wrong("The texts need a classifier of their own: this is that of the images.")
    close(Q, scm.encode_text(test.text), "The posteriors of the texts are off.", tol=1e-3)


@exercise("cca/semantic/choose")
def choose(answer: Answer) -> None:
    data = make_hidden_signal(240, 40, 30, n_classes=4, signal=0.8, random_state=2)
    candidates = [0.001, 0.01, 0.1, 1.0, 10.0, 100.0]
    learn, validate = data.split(test_size=0.25, random_state=0)

    def score(C: float, learn: PairedDataset, judge: PairedDataset) -> float:
        report = evaluate(SM(C).fit(learn.image, learn.text, learn.labels), judge)
        return report.image_to_text["mAP@all"] + report.text_to_image["mAP@all"]

    scores = [score(C, learn, validate) for C in candidates]
    seen = [score(C, data, data) for C in candidates]
    chosen = answer(data, candidates)
    if chosen not in candidates:
        raise Wrong(f"Return one of the candidates, {candidates}, got {chosen!r}.")
    if chosen == candidates[int(np.argmin(scores))]:
        raise Wrong("This is the worst of them: a larger mAP is better.")
    if chosen == candidates[int(np.argmax(seen))]:
        raise Wrong(
            "This C is best on the pairs that the model has learnt from, which proves nothing: "
            "score each candidate on the part held out."
        )
    if chosen != candidates[int(np.argmax(scores))]:
        raise Wrong(
            "Another C is better on the held-out quarter: split with test_size=0.25 and "
            "random_state=0, and add up mAP@all of both directions."
        )
