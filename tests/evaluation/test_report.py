"""evaluate() on a model whose two directions differ, with every figure worked out by hand."""

import re
from fractions import Fraction

import numpy as np
import pytest

from cmrlib.base import RetrievalModel
from cmrlib.datasets import PairedDataset
from cmrlib.evaluation import evaluate


class Table(RetrievalModel):
    """Similarity image @ text.T: with the identity as text, the image features are the table."""

    def _fit(self, X, Y, labels):
        pass

    def similarity(self, image, text):
        return image @ text.T


# Rows rank their partner first. Column 0 ranks 1, 2, 0; column 1 ranks 1, 2, 0; column 2 2, 1, 0.
TABLE = np.array([[0.5, 0.1, 0.0], [0.8, 0.9, 0.1], [0.7, 0.2, 0.8]])


def toy(labels):
    return PairedDataset("toy", image=TABLE, text=np.eye(3), labels=labels)


@pytest.fixture
def report():
    return evaluate(Table(), toy(np.array([0, 0, 1])), precision_at=(1, 2), recall_at=(1, 2))


def test_image_to_text_by_hand(report):
    """Each image finds its own class first: 1 1 0, 1 1 0 and 1 0 0."""
    truth = {"mAP@all": 1, "P@1": 1, "P@2": Fraction(5, 6), "R@1": 1, "R@2": 1}
    assert report.image_to_text == pytest.approx({k: float(v) for k, v in truth.items()})


def test_text_to_image_by_hand(report):
    """Relevant ranks 1 0 1, 1 0 1 and 1 0 0: AP 5/6, 5/6, 1; partners at ranks 3, 1, 1."""
    truth = {"mAP@all": Fraction(8, 9), "P@1": 1, "P@2": Fraction(1, 2), "R@1": Fraction(2, 3)}
    truth["R@2"] = Fraction(2, 3)
    assert report.text_to_image == pytest.approx({k: float(v) for k, v in truth.items()})


def test_random_column_by_hand(report):
    """AP of 2 in 3 at random: (1 + 5/6 + 7/12) / 3 = 29/36; of 1 in 3: (1 + 1/2 + 1/3) / 3."""
    mean_ap = (2 * Fraction(29, 36) + Fraction(11, 18)) / 3
    truth = {"mAP@all": mean_ap, "P@1": Fraction(5, 9), "P@2": Fraction(5, 9)}
    truth |= {"R@1": Fraction(1, 3), "R@2": Fraction(2, 3)}
    assert report.random == pytest.approx({k: float(v) for k, v in truth.items()})


def test_names_carry_the_cut_offs_asked_for(report):
    names = ["mAP@all", "P@1", "P@2", "R@1", "R@2"]
    for column in (report.image_to_text, report.text_to_image, report.random):
        assert list(column) == names
    default = evaluate(Table(), toy(np.array([0, 0, 1])))
    assert list(default.random) == ["mAP@all", "P@10", "R@1", "R@5", "R@10"]


def test_printed_report_holds_every_figure(report):
    head, *rows, foot = str(report).splitlines()
    assert head.split() == ["image->text", "text->image", "random"]
    assert rows[0].split() == ["mAP@all", "1.000", "0.889", "0.741"]
    assert rows[3].split() == ["R@1", "1.000", "0.667", "0.333"]
    assert foot == "3 queries, 0 with no relevant item"
    assert repr(report) == str(report)


def test_without_labels_only_pairs_are_measured():
    report = evaluate(Table(), toy(None), recall_at=(1,))
    assert report.image_to_text == {"R@1": 1.0}
    assert report.text_to_image == {"R@1": pytest.approx(2 / 3)}
    assert report.n_without_relevant == 0


def test_queries_without_a_class_are_counted_and_left_out_of_the_class_means():
    """The third pair has no class: P@1 is the mean of two queries, not of three."""
    report = evaluate(Table(), toy(np.array([[1, 0], [1, 1], [0, 0]])), precision_at=(1,))
    assert (report.n_queries, report.n_without_relevant) == (3, 1)
    assert report.image_to_text["P@1"] == 1
    assert report.image_to_text["mAP@all"] == 1
    assert report.random["P@1"] == pytest.approx(2 / 3)
    assert re.search("3 queries, 1 with no relevant item", str(report))


def test_no_query_with_a_class_is_an_error():
    with pytest.raises(ValueError, match="no query has a relevant item"):
        evaluate(Table(), toy(np.zeros((3, 2), int)))


def test_other_things_than_model_and_data_set_are_refused():
    with pytest.raises(TypeError, match="model must be a cmrlib model, got ndarray"):
        evaluate(TABLE, toy(None))
    with pytest.raises(TypeError, match="data must be a PairedDataset, got tuple"):
        evaluate(Table(), (TABLE, np.eye(3)))


def test_bad_cut_is_refused():
    with pytest.raises(ValueError, match="k must be a whole number"):
        evaluate(Table(), toy(None), recall_at=(0,))
