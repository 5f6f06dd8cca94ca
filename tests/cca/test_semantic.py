"""SM and SCM against the definition, and against variants that are not SM and SCM."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from cmrlib.base import CommonSpaceModel
from cmrlib.cca.linear import CCA
from cmrlib.cca.semantic import SCM, SM
from cmrlib.datasets import PairedDataset, fetch_wikipedia, make_hidden_signal
from cmrlib.evaluation import evaluate

WIKIPEDIA = Path(os.environ.get("CMRLIB_DATA", "no folder")) / "wikipedia"


def hidden(n: int = 240, seed: int = 0, **options) -> PairedDataset:
    return make_hidden_signal(n, 12, 10, n_classes=4, n_nuisance=4, random_state=seed, **options)


def one_hot(labels: np.ndarray) -> np.ndarray:
    return labels if labels.ndim == 2 else np.eye(labels.max() + 1, dtype=int)[labels]


# What makes a code that of a semantic model.


def assert_posteriors(code: np.ndarray, c: int) -> None:
    assert code.shape[1] == c, "one entry a class"
    assert (code > 0).all(), "not on the simplex: an entry is not positive"
    np.testing.assert_allclose(code.sum(axis=1), 1, atol=1e-12, err_msg="not on the simplex")


def assert_logistic_optimum(code: np.ndarray, Z: np.ndarray, labels: np.ndarray, C: float) -> None:
    """Only from what comes out: `code` is the logistic regression of `labels` on `Z`.

    A softmax of Z W + b has logits that are linear in Z; least squares finds W and b, and there
    the gradient of the published objective must vanish.
    """
    logits = np.log(code) - np.log(code).mean(axis=1, keepdims=True)
    design = np.column_stack([Z - Z.mean(axis=0), np.ones(len(Z))])
    solution = np.linalg.lstsq(design, logits, rcond=None)[0]
    np.testing.assert_allclose(design @ solution, logits, atol=1e-7, err_msg="logits not linear")

    targets = one_hot(labels) / one_hot(labels).sum(axis=1, keepdims=True)
    inputs, targets = torch.tensor(design), torch.tensor(targets)

    def gradient(theta: np.ndarray) -> np.ndarray:
        parameters = torch.tensor(theta, requires_grad=True)
        cross_entropy = -(targets * torch.log_softmax(inputs @ parameters, dim=1)).sum()
        loss = (parameters[:-1] ** 2).sum() / 2 + C * cross_entropy
        return torch.autograd.grad(loss, parameters)[0].numpy()

    start = np.abs(gradient(np.zeros_like(solution))).max()
    relative = np.abs(gradient(solution)).max() / start
    assert relative < 1e-6, f"gradient of the objective is {relative:.1e}, not 0"


def assert_semantic_matching(model: CommonSpaceModel, data: PairedDataset) -> None:
    """Structural test of SM: two logistic posteriors, one a modality."""
    model.fit(data.image, data.text, labels=data.labels)
    for modality, X in (("image", data.image), ("text", data.text)):
        code = model.encode(X, modality)
        assert_posteriors(code, one_hot(data.labels).shape[1])
        assert_logistic_optimum(code, X, data.labels, model.C)


def assert_no_use_of_pairs(model: CommonSpaceModel, data: PairedDataset) -> None:
    """Other partners with the same labels change nothing."""
    S = model.fit(data.image, data.text, data.labels).similarity(data.image, data.text)
    text = data.text[other_partners(data.labels)]
    again = model.fit(data.image, text, data.labels).similarity(data.image, data.text)
    np.testing.assert_allclose(again, S, atol=1e-6, err_msg="uses the pairing")


def other_partners(labels: np.ndarray) -> np.ndarray:
    """Return an order of the rows that moves almost all of them, within their class."""
    rng = np.random.default_rng(0)
    order = np.arange(len(labels))
    for label in np.unique(labels):
        same = np.flatnonzero(labels == label)
        order[same] = rng.permutation(same)
    assert (order != np.arange(len(labels))).mean() > 0.9
    return order


def assert_semantic_correlation_matching(model: CommonSpaceModel, data: PairedDataset) -> None:
    """Structural test of SCM: logistic posteriors whose inputs are the canonical variates."""
    model.fit(data.image, data.text, labels=data.labels)
    cca = CCA(model.n_components, model.reg).fit(data.image, data.text)
    for modality, X in (("image", data.image), ("text", data.text)):
        code = model.encode(X, modality)
        assert_posteriors(code, one_hot(data.labels).shape[1])
        assert_logistic_optimum(code, cca.encode(X, modality), data.labels, model.C)


def test_semantic_matching():
    assert_semantic_matching(SM(C=0.5), hidden())
    assert_no_use_of_pairs(SM(C=0.5), hidden())


def test_semantic_correlation_matching():
    assert_semantic_correlation_matching(SCM(6, C=0.5), hidden())
    assert_semantic_correlation_matching(SCM(6, reg=0.2, C=2.0), hidden())


def test_multi_hot_rows_are_items_spread_over_their_classes():
    data = hidden()
    labels = np.eye(4, dtype=int)[data.labels]
    labels[::3, 0] = 1  # a third of the items gets a second label
    assert_semantic_matching(SM(C=0.5), PairedDataset("two labels", data.image, data.text, labels))

    plain = SM(C=0.5).fit(data.image, data.text, data.labels)
    as_rows = SM(C=0.5).fit(data.image, data.text, np.eye(4, dtype=int)[data.labels])
    code = plain.encode_image(data.image)
    np.testing.assert_allclose(as_rows.encode_image(data.image), code, atol=1e-6)


# Variants that borrow the name.


class OneClassifierForBoth(SM):
    """Both modalities, padded to one width, share one logistic regression."""

    def _fit_unpaired(self, X, L, Y, M):
        Y = np.pad(Y, ((0, 0), (0, X.shape[1] - Y.shape[1])))
        super()._fit_unpaired(np.vstack([X, Y]), np.r_[L, M], np.vstack([X, Y]), np.r_[L, M])

    def _encode_text(self, Y):
        return self.classifier_text_.predict_proba(np.pad(Y, ((0, 0), (0, 2))))


class Scores(SM):
    """Linear scores instead of posteriors."""

    def _encode_image(self, X):
        return self.classifier_image_.decision_function(X)


class Sigmoids(SM):
    """A binary classifier for each class, normalised afterwards, as some solvers do."""

    def _fit_unpaired(self, X, L, Y, M):
        self.classifier_image_, self.classifier_text_ = (
            OneVsRestClassifier(LogisticRegression(C=self.C, tol=1e-8)).fit(Z, T)
            for Z, T in ((X, L), (Y, M))
        )


class AnotherPenalty(SM):
    """C divided by the number of items: the mean loss instead of the sum."""

    def _fit_unpaired(self, X, L, Y, M):
        C, self.C = self.C, self.C / len(X)
        super()._fit_unpaired(X, L, Y, M)
        self.C = C


class TaughtByThePartner(SM):
    """The text classifier learns what the image classifier says of the partner."""

    def _fit_unpaired(self, X, L, Y, M):
        super()._fit_unpaired(X, L, Y, M)
        super()._fit_unpaired(X, L, Y, self.classifier_image_.predict(X))


SM_MUTANTS = {
    OneClassifierForBoth: "gradient",
    Scores: "simplex",
    Sigmoids: "not linear",
    AnotherPenalty: "gradient",
    TaughtByThePartner: "gradient",
}


@pytest.mark.parametrize("mutant", SM_MUTANTS, ids=lambda m: m.__name__)
def test_rejects_what_is_not_semantic_matching(mutant):
    with pytest.raises(AssertionError, match=SM_MUTANTS[mutant]):
        assert_semantic_matching(mutant(C=0.5), hidden())


@pytest.mark.parametrize("model", [TaughtByThePartner(), SCM(6)], ids=["taught", "SCM"])
def test_rejects_use_of_pairs(model):
    with pytest.raises(AssertionError, match="uses the pairing"):
        assert_no_use_of_pairs(model, hidden())


class NoCorrelation(SCM):
    """SM on the features themselves."""

    def _fit(self, X, Y, labels):
        self.sm_ = SM(self.C).fit(X, Y, labels)

    def _encode_image(self, X):
        return self.sm_.encode_image(X)

    def _encode_text(self, Y):
        return self.sm_.encode_text(Y)


class PosteriorsFirst(SCM):
    """The two steps in the other order."""

    def _fit(self, X, Y, labels):
        self.sm_ = SM(self.C).fit(X, Y, labels)
        self.cca_ = CCA(3, 0.01).fit(self.sm_.encode_image(X), self.sm_.encode_text(Y))

    def _encode_image(self, X):
        return self.cca_.encode_image(self.sm_.encode_image(X))

    def _encode_text(self, Y):
        return self.cca_.encode_text(self.sm_.encode_text(Y))


class PrincipalComponents(SCM):
    """A subspace of each view that does not look at the other view."""

    def _fit(self, X, Y, labels):
        self.maps = PCA(self.n_components).fit(X), PCA(self.n_components).fit(Y)
        x, y = self.maps[0].transform(X), self.maps[1].transform(Y)
        self.sm_ = SM(self.C).fit(x, y, labels)

    def _encode_image(self, X):
        return self.sm_.encode_image(self.maps[0].transform(X))

    def _encode_text(self, Y):
        return self.sm_.encode_text(self.maps[1].transform(Y))


class UnscaledVariates(SCM):
    """The canonical subspace in an orthonormal basis: the variates are not of variance 1."""

    def _fit(self, X, Y, labels):
        super()._fit(X, Y, labels)
        self.cca_.weights_image_, self.cca_.weights_text_ = (
            np.linalg.qr(A)[0] for A in (self.cca_.weights_image_, self.cca_.weights_text_)
        )
        self.sm_.fit(self.cca_.encode_image(X), self.cca_.encode_text(Y), labels)


SCM_MUTANTS = {
    NoCorrelation: "not linear",
    PosteriorsFirst: "one entry a class",
    PrincipalComponents: "not linear",
    UnscaledVariates: "gradient",
}


@pytest.mark.parametrize("mutant", SCM_MUTANTS, ids=lambda m: m.__name__)
def test_rejects_what_is_not_semantic_correlation_matching(mutant):
    with pytest.raises(AssertionError, match=SCM_MUTANTS[mutant]):
        assert_semantic_correlation_matching(mutant(6, C=0.5), hidden())


# Reductions and invariances.


def test_full_rank_without_penalty_equals_semantic_matching():
    data = hidden(n=400, signal=0.3)  # classes overlap, so that an optimum exists
    scm = SCM(10, C=np.inf).fit(data.image, data.text, data.labels)
    sm = SM(C=np.inf).fit(data.image, data.text, data.labels)
    text = sm.encode_text(data.text)
    np.testing.assert_allclose(scm.encode_text(data.text), text, atol=1e-5)  # 10 of 10 dimensions
    image = sm.encode_image(data.image)
    assert np.abs(scm.encode_image(data.image) - image).max() > 0.01  # 10 of 12


def test_scm_does_not_feel_the_scale_of_the_features():
    data = hidden()
    scale = np.geomspace(1e-4, 1e4, 12)
    code = SCM(6).fit(data.image, data.text, data.labels).encode_image(data.image)
    moved = data.image * scale + 1e5 * scale
    again = SCM(6).fit(moved, data.text, data.labels).encode_image(moved)
    np.testing.assert_allclose(again, code, atol=1e-6)


def test_labels_carry_the_signal():
    train, test = hidden(900, signal=0.8).split(test_size=0.5, random_state=0)
    shuffled = np.random.default_rng(0).permutation(train.labels)
    for model in (SM(C=1.0), SCM(8, C=1.0)):
        with_labels = evaluate(model.fit(train.image, train.text, train.labels), test)
        without = evaluate(model.fit(train.image, train.text, shuffled), test)
        chance = with_labels.random["mAP@all"]
        for direction in ("image_to_text", "text_to_image"):
            found, lost = (getattr(r, direction)["mAP@all"] for r in (with_labels, without))
            assert found > chance + 0.25
            assert abs(lost - chance) < 0.06


# Without pairs.


def test_fit_unpaired_is_fit_in_any_order():
    data = hidden()
    rng = np.random.default_rng(1)
    i, j = rng.permutation(len(data)), rng.permutation(len(data))
    paired = SM().fit(data.image, data.text, data.labels)
    unpaired = SM().fit_unpaired(data.image[i], data.labels[i], data.text[j], data.labels[j])
    np.testing.assert_allclose(
        unpaired.similarity(data.image, data.text),
        paired.similarity(data.image, data.text),
        atol=1e-6,
    )


def test_fit_unpaired_takes_different_numbers():
    images, texts = hidden(300), hidden(130, seed=1)
    model = SM().fit_unpaired(images.image, images.labels, texts.text, texts.labels)
    assert model.similarity(images.image, texts.text).shape == (300, 130)
    alone = SM().fit(texts.image, texts.text, texts.labels)  # the images have no say
    np.testing.assert_allclose(
        model.encode_text(texts.text), alone.encode_text(texts.text), atol=1e-12
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(text_labels=np.r_[[9], hidden().labels[1:]]), r"texts \[0, 1, 2, 3, 9\]"),
        (dict(image_labels=np.eye(4, dtype=int)[hidden().labels]), "differ in kind"),
        (dict(image_labels=np.zeros(240, int), text_labels=np.zeros(240, int)), "one class"),
        (dict(text_labels=hidden().labels[:-1]), r"labels must have shape \(240,\)"),
        (dict(image=hidden().image[:1], image_labels=[0]), "one image is not enough"),
        (dict(image=np.ones((240, 3))), "every column of image is constant"),
    ],
)
def test_fit_unpaired_refuses(change, message):
    data = hidden()
    arguments = dict(
        image=data.image, image_labels=data.labels, text=data.text, text_labels=data.labels
    )
    model = SM().fit(data.image, data.text, data.labels)
    before = model.encode_text(data.text)
    with pytest.raises(ValueError, match=message):
        model.fit_unpaired(**(arguments | change))
    np.testing.assert_array_equal(model.encode_text(data.text), before)


@pytest.mark.parametrize("model", [SM(C=0.0), SM(C=-1.0), SM(max_iter=0), SCM(11)])
def test_refuses_bad_parameters(model):
    data = hidden()
    with pytest.raises(ValueError, match=r"C|max_iter|n_components"):
        model.fit(data.image, data.text, data.labels)


# The published experiment.

needs_wikipedia = pytest.mark.skipif(
    not (WIKIPEDIA / "raw_features.mat").is_file(),
    reason="the Wikipedia features are not in $CMRLIB_DATA/wikipedia",
)


@needs_wikipedia
@pytest.mark.parametrize(
    ("model", "image_to_text", "text_to_image"),
    [(SM(C=10.0), 0.217, 0.218), (SCM(7), 0.272, 0.230), (SCM(9), 0.277, 0.226)],
    ids=["SM", "SCM-7", "SCM-9"],
)
def test_wikipedia(model, image_to_text, text_to_image):
    train, test = fetch_wikipedia(WIKIPEDIA.parent).split()
    report = evaluate(model.fit(train.image, train.text, train.labels), test)
    assert report.image_to_text["mAP@all"] == pytest.approx(image_to_text, abs=0.01)
    assert report.text_to_image["mAP@all"] == pytest.approx(text_to_image, abs=0.01)


@needs_wikipedia
def test_wikipedia_validation_chooses_nine_components():
    """The number of components that gives the published SCM needs no look at the test pairs."""
    train, _ = fetch_wikipedia(WIKIPEDIA.parent).split()
    learn, validate = train.split(test_size=0.25, random_state=0)

    def score(k: int) -> float:
        report = evaluate(SCM(k).fit(learn.image, learn.text, learn.labels), validate)
        return report.image_to_text["mAP@all"] + report.text_to_image["mAP@all"]

    assert max(range(2, 10), key=score) == 9
