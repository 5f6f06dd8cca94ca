"""Wrong answers to the exercises on choosing features, each with the reason it must get."""

import hashlib

import numpy as np


def time_mean(seconds, n_items):
    return 1000 * np.mean(seconds[1:]) / n_items


def time_with_first(seconds, n_items):
    return 1000 * np.median(seconds) / n_items


def time_fastest(seconds, n_items):
    return 1000 * min(seconds) / n_items


def time_in_seconds(seconds, n_items):
    return np.median(seconds[1:]) / n_items


def time_of_all(seconds, n_items):
    return 1000 * np.median(seconds[1:])


def front_best(ms, quality):
    return quality == quality.max()


def front_better_than_average(ms, quality):
    return quality >= quality.mean()


def front_strict(ms, quality):
    """Beaten only if dearer *and* worse, both strictly."""
    beaten = (ms < ms[:, None]) & (quality > quality[:, None])
    return ~beaten.any(axis=1)


def front_ties_out(ms, quality):
    beaten = (ms <= ms[:, None]) & (quality >= quality[:, None])
    np.fill_diagonal(beaten, False)
    return ~beaten.any(axis=1)


def front_ignores_cost_at_equal_quality(ms, quality):
    beaten = (ms <= ms[:, None]) & (quality > quality[:, None])
    return ~beaten.any(axis=1)


def retained_without_chance(clean, typos, chance):
    return typos / clean


def retained_difference(clean, typos, chance):
    return clean - typos


def retained_upside_down(clean, typos, chance):
    return (clean - chance) / (typos - chance)


def retained_lost(clean, typos, chance):
    return 1 - typos / clean + chance


def key_glued(name, version, text):
    return hashlib.sha256((name + version + text).encode()).hexdigest()


def key_item_only(name, version, text):
    return hashlib.sha256(text.encode()).hexdigest()


def key_without_version(name, version, text):
    return hashlib.sha256(f"{name}|{text}".encode()).hexdigest()


def key_of_python(name, version, text):
    return hash((name, version, text))


def key_of_length(name, version, text):
    return f"{name}|{version}|{len(text)}"


def key_readable(name, version, text):
    return f"{name}|{version}|{text}"


def _affordable(table, budget):
    return [row for row in table if row["ms"] <= budget and not row["needs_weights"]]


def _mean(row):
    return np.mean(row["quality"]["mAP@all"])


def budget_with_weights(table, budget):
    return max((row for row in table if row["ms"] <= budget), key=_mean)["name"]


def budget_ignored(table, budget):
    return max(_affordable(table, np.inf), key=_mean)["name"]


def budget_best_seed(table, budget):
    return max(_affordable(table, budget), key=lambda row: np.max(row["quality"]["mAP@all"]))[
        "name"
    ]


def budget_strict(table, budget):
    found = [row for row in _affordable(table, budget) if row["ms"] < budget]
    return max(found, key=_mean)["name"]


def budget_none_fails(table, budget):
    return max(_affordable(table, budget), key=_mean)["name"]


def budget_cheapest(table, budget):
    return min(_affordable(table, budget), key=lambda row: row["ms"])["name"]


WRONG = {
    "features/choosing/time": [
        (time_mean, "take the median"),
        (time_with_first, "leave it out"),
        (time_fastest, "The fastest turn flatters"),
        (time_in_seconds, "1000 milliseconds"),
        (time_of_all, "divide by their number"),
    ],
    "features/choosing/front": [
        (front_best, "The best extractor is not alone"),
        (front_better_than_average, "another beats in quality"),
        (front_strict, "another beats in quality"),
        (front_ties_out, "do not beat each other"),
        (front_ignores_cost_at_equal_quality, "the cheaper one wins"),
    ],
    "features/choosing/retained": [
        (retained_without_chance, "subtract chance from both"),
        (retained_difference, "This is what is lost"),
        (retained_upside_down, "Upside down"),
        (retained_lost, "At chance nothing is retained"),
    ],
    "features/choosing/key": [
        (key_glued, "separate the parts"),
        (key_item_only, "Another version gets the same key"),
        (key_without_version, "Another version gets the same key"),
        (key_of_python, "changes from process to process"),
        (key_of_length, "Another item gets the same key"),
        (key_readable, "A key must be short"),
    ],
    "features/choosing/budget": [
        (budget_with_weights, "leave them out"),
        (budget_ignored, "takes 50 ms"),
        (budget_best_seed, "average all values"),
        (budget_strict, "exactly the budget"),
        (budget_none_fails, "return None"),
        (budget_cheapest, "extractor c has the best mean"),
    ],
}
