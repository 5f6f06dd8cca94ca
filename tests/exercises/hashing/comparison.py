"""Plausible wrong answers to the exercises of the chapter that compares hashing methods."""

import numpy as np


def without_logarithms(n, seconds):
    return np.polyfit(n, seconds, 1)[0]


def exchanged(n, seconds):
    return np.polyfit(np.log(seconds), np.log(n), 1)[0]


def in_megabits(n, n_bits):
    return n * n_bits / 1e6


def broken_bytes(n, n_bits):
    return n * n_bits / 8 / 1e6


def of_images(records):
    return _gains(records, 0)


def of_everyone(records):
    names = {record["method"] for record in records}
    return {name: _gains(records, 1).get(name, 0.0) for name in names}


def sums(records):
    return {name: 2 * value for name, value in _gains(records, 1).items()}


def _gains(records, side):
    both = [record for record in records if "learnt" in record]
    return {
        name: np.mean([r["learnt"][side] - r["encoded"][side] for r in both if r["method"] == name])
        for name in {record["method"] for record in both}
    }


RIGHT = {
    "mAP@50 against mAP@all": False,
    "same split and features, both encoded": True,
    "encoded against learnt": False,
    "same protocol, 64 against 64 bits": True,
    "parameters chosen on the test queries against on validation": False,
}


def any_cutoff():
    return RIGHT | {"mAP@50 against mAP@all": True}


def any_database():
    return RIGHT | {"encoded against learnt": True}


WRONG = {
    "hashing/comparison/exponent": [
        (without_logarithms, "take both logarithms"),
        (exchanged, "exchange them"),
    ],
    "hashing/comparison/memory": [
        (in_megabits, "Eight bits"),
        (broken_bytes, "whole bytes"),
    ],
    "hashing/comparison/gain": [
        (of_images, "second of the two"),
        (of_everyone, "leave it out"),
        (sums, "this is the sum"),
    ],
    "hashing/comparison/comparable": [
        (any_cutoff, "cut-off alone"),
        (any_database, "seen text and label"),
    ],
}
