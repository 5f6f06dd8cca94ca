"""Plausible wrong answers to the exercises on semantic matching."""

import numpy as np
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from cmrlib.cca.linear import CCA
from cmrlib.cca.semantic import SM
from cmrlib.evaluation import evaluate


def over_items(Z, W, b):
    return softmax(Z @ W + b, axis=0)


def overflowing(Z, W, b):
    scores = np.exp(Z @ W + b)
    return scores / scores.sum(axis=1, keepdims=True)


def without_intercept(Z, W, b):
    return softmax(Z @ W, axis=1)


def mean_loss(W, Z, L, C):
    return W + C * Z.T @ (softmax(Z @ W, axis=1) - L) / len(Z)


def no_penalty(W, Z, L, C):
    return C * Z.T @ (softmax(Z @ W, axis=1) - L)


def wrong_sign(W, Z, L, C):
    return W + C * Z.T @ (L - softmax(Z @ W, axis=1))


TRUE_CHANGES = {
    "SM, partners exchanged within classes": False,
    "SCM, partners exchanged within classes": True,
    "SM, half of the texts left out": True,
    "SM, classes renumbered": False,
    "SM, image features times 1000": True,
    "SCM with reg=0, image features times 1000": False,
}


def sm_needs_pairs():
    return TRUE_CHANGES | {"SM, partners exchanged within classes": True}


def scale_never_matters():
    return TRUE_CHANGES | {"SM, image features times 1000": False}


def cosine(P, Q):
    P, Q = (A / np.linalg.norm(A, axis=1, keepdims=True) for A in (P, Q))
    return P @ Q.T


def likeliest_only(P, Q):
    return np.outer(P.max(axis=1), Q.max(axis=1))


def classify(Z, labels):
    return LogisticRegression(C=1.0, tol=1e-6, max_iter=1000).fit(Z, labels)


def posteriors_first(train, test, k):
    image, text = classify(train.image, train.labels), classify(train.text, train.labels)
    cca = CCA(2, 0.01).fit(image.predict_proba(train.image), text.predict_proba(train.text))
    P = cca.encode_image(image.predict_proba(test.image))
    Q = cca.encode_text(text.predict_proba(test.text))
    return np.pad(P, ((0, 0), (0, 1))), np.pad(Q, ((0, 0), (0, 1)))


def no_cca(train, test, k):
    image, text = classify(train.image, train.labels), classify(train.text, train.labels)
    return image.predict_proba(test.image), text.predict_proba(test.text)


def one_classifier(train, test, k):
    cca = CCA(k).fit(train.image, train.text)
    model = classify(cca.encode_image(train.image), train.labels)
    return tuple(
        model.predict_proba(Z) for Z in (cca.encode_image(test.image), cca.encode_text(test.text))
    )


def score(C, learn, judge):
    report = evaluate(SM(C).fit(learn.image, learn.text, learn.labels), judge)
    return report.image_to_text["mAP@all"] + report.text_to_image["mAP@all"]


def best_on_training(data, candidates):
    return max(candidates, key=lambda C: score(C, data, data))


def worst(data, candidates):
    learn, validate = data.split(test_size=0.25, random_state=0)
    return min(candidates, key=lambda C: score(C, learn, validate))


WRONG = {
    "cca/semantic/posteriors": [
        (over_items, "axis 1"),
        (overflowing, "overflow"),
        (without_intercept, "intercept"),
    ],
    "cca/semantic/gradient": [
        (mean_loss, "not the mean"),
        (no_penalty, "penalty is missing"),
        (wrong_sign, "sign"),
    ],
    "cca/semantic/changes": [(sm_needs_pairs, "never a partner"), (scale_never_matters, "penalty")],
    "cca/semantic/same_class": [(cosine, "cosine"), (likeliest_only, "All classes count")],
    "cca/semantic/order": [
        (posteriors_first, "come last"),
        (no_cca, "canonical variates"),
        (one_classifier, "classifier of their own"),
    ],
    "cca/semantic/choose": [(best_on_training, "learnt from"), (worst, "larger mAP")],
}
