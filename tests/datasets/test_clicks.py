"""The simulated click log: its click model is the one that it promises."""

import numpy as np
import pytest
from scipy.stats import chisquare

from cmrlib.datasets import PairedDataset, load_emoji, make_clicks
from cmrlib.datasets.clicks import KINDS


def toy(n=12, labels=(0, 1, 2)):
    labels = np.resize(labels, n)
    return PairedDataset("toy", np.zeros((n, 2)), np.zeros((n, 2)), labels=labels)


def frequencies_fit(drawn, shares):
    """Return the p-value of counts under these shares; zero shares must have been obeyed."""
    counts = np.bincount(drawn, minlength=len(shares))
    assert (counts[shares == 0] == 0).all()
    possible = shares > 0
    return chisquare(counts[possible], counts.sum() * shares[possible]).pvalue


def test_kinds_come_in_the_promised_shares():
    log = make_clicks(toy(), 50_000, related=0.3, noise=0.2, random_state=0)
    assert KINDS == ("match", "related", "noise")
    assert frequencies_fit(log.kind, np.array([0.5, 0.3, 0.2])) > 1e-3


def test_each_kind_clicks_what_it_says():
    data = toy()
    log = make_clicks(data, 60_000, popularity=0, random_state=1)
    match, related, noise = (log.kind == kind for kind in range(3))
    np.testing.assert_array_equal(log.image[match], log.query[match])
    labels = data.labels
    np.testing.assert_array_equal(labels[log.image[related]], labels[log.query[related]])
    assert (log.image[related] != log.query[related]).all()
    mates = np.array([0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0]) / 3  # of item 0, three others
    assert frequencies_fit(log.image[related & (log.query == 0)], mates) > 1e-3
    assert frequencies_fit(log.image[noise & (log.query == 0)], np.full(12, 1 / 12)) > 1e-3


@pytest.mark.parametrize("popularity", [0, 0.5, 1])
def test_popularity_is_a_power_law(popularity):
    log = make_clicks(toy(), 100_000, popularity=popularity, random_state=0)
    counts = np.sort(np.bincount(log.query, minlength=12))[::-1]
    shares = np.arange(1, 13.0) ** -popularity
    assert np.abs(counts / len(log) - shares / shares.sum()).max() < 0.005  # 3 standard errors


def test_counts_are_those_of_the_log():
    log = make_clicks(toy(), 500, random_state=3)
    counts = np.zeros(log.shape, dtype=int)
    for image, query in zip(log.image, log.query, strict=True):
        counts[image, query] += 1
    np.testing.assert_array_equal(log.counts().toarray(), counts)
    assert log.counts().has_canonical_format
    assert repr(log) == "ClickLog(500 clicks, 12 images, 12 queries)"


def test_same_seed_same_log():
    a, b, c = (make_clicks(toy(), 100, random_state=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal([a.image, a.query, a.kind], [b.image, b.query, b.kind])
    assert (a.image != c.image).any()


def test_emoji_and_a_log_without_errors():
    log = make_clicks(load_emoji(), 3000, related=0, noise=0, random_state=0)
    assert log.shape == (1898, 1898)
    np.testing.assert_array_equal(log.image, log.query)
    unlabelled = PairedDataset("u", np.zeros((5, 2)), np.zeros((5, 2)))
    assert len(make_clicks(unlabelled, 10, related=0, random_state=0)) == 10


@pytest.mark.parametrize(
    ("data", "parameters", "message"),
    [
        (toy(), {"related": 0.7, "noise": 0.5}, "must be at most 1, got 0.7"),
        (toy(), {"noise": -0.1}, "noise"),
        (toy(), {"popularity": -1}, "popularity"),
        (toy(), {"n_clicks": 0}, "n_clicks"),
        (toy(3), {}, "a class has a single item"),
        (PairedDataset("u", np.zeros((5, 2)), np.zeros((5, 2))), {}, "one class number an item"),
    ],
)
def test_bad_parameters_are_refused(data, parameters, message):
    with pytest.raises(ValueError, match=message):
        make_clicks(data, **parameters)
