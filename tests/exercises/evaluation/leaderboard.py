"""Wrong answers to the exercises of book/evaluation/leaderboard.md, with the reason of each."""

import numpy as np


def with_spread(spread):
    return lambda scores: (np.mean(scores), spread(np.asarray(scores)))


def zero_for_one(scores):
    return np.mean(scores), np.std(scores, ddof=1) if len(scores) > 1 else 0.0


def sum_over_two(scores):
    """Right for three scores, and nothing else."""
    return np.mean(scores), np.sqrt(np.sum((scores - np.mean(scores)) ** 2) / 2) if len(
        scores
    ) > 1 else np.nan


def first_that(breaks):
    """Return a first_leak that reports the first event for which `breaks(...)` holds."""

    def first_leak(log, test_rows):
        last_choice = max(i for i, (event, _) in enumerate(log) if event == "choose")
        scored = 0
        for i, (event, rows) in enumerate(log):
            hit = bool(set(rows) & test_rows)
            whole = bool(rows) and set(rows) <= test_rows
            if breaks(event, hit, whole, i < last_choice, scored, i):
                return i
            scored += event == "score" and hit
        return None

    return first_leak


def looks_at_fits_only(event, hit, whole, before, scored, i):
    return hit and event == "fit"


def whole_test_sets_only(event, hit, whole, before, scored, i):
    return whole and before


def until_the_choice_only(event, hit, whole, before, scored, i):
    return hit and before


def forgets_the_second_score(event, hit, whole, before, scored, i):
    return hit and (before or event == "fit")


def any_touch(event, hit, whole, before, scored, i):
    return hit


def before_the_first_choice(log, test_rows):
    """Takes the first choice for the last one."""
    chosen, scored = False, 0
    for i, (event, rows) in enumerate(log):
        hit = bool(set(rows) & test_rows)
        if hit and (not chosen or event == "fit" or scored):
            return i
        chosen |= event == "choose"
        scored += event == "score" and hit
    return None


def yes_or_no(log, test_rows):
    return any(set(rows) & test_rows for _, rows in log)


def pairs_where(equal, allowed=lambda row: row["chosen_on"] == "validation"):
    def comparable_pairs(rows):
        return [
            (a["method"], b["method"])
            for i, a in enumerate(rows)
            for b in rows[i + 1 :]
            if equal(a, b) and allowed(a) and allowed(b)
        ]

    return comparable_pairs


def by(*names):
    return lambda a, b: all(a[name] == b[name] for name in names)


def both_ways(rows):
    pairs = pairs_where(by("sha256", "metric"))(rows)
    return pairs + [(b, a) for a, b in pairs]


def within(allowance, pick=np.argmin):
    """Return a one_standard_error_choice with another allowance below the best mean."""

    def one_standard_error_choice(scores, size):
        means = scores.mean(axis=1)
        best = means.argmax()
        able = np.flatnonzero(means >= means[best] - allowance(scores, best))
        return able[pick(size[able])]

    return one_standard_error_choice


def standard_error(scores, best):
    return scores[best].std(ddof=1) / np.sqrt(scores.shape[1])


def own_error(scores, size):
    errors = scores.std(axis=1, ddof=1) / np.sqrt(scores.shape[1])
    able = np.flatnonzero(scores.mean(axis=1) + errors >= scores.mean(axis=1).max())
    return able[size[able].argmin()]


WRONG = {
    "evaluation/leaderboard/spread": [
        (with_spread(np.std), "divide by n - 1"),
        (with_spread(lambda s: s.var(ddof=1)), "That is the variance"),
        (with_spread(lambda s: s.std(ddof=1) / np.sqrt(len(s))), "standard error of the mean"),
        (with_spread(np.ptp), "That is the range"),
        (zero_for_one, "One run says nothing about spread"),
        (sum_over_two, "The spread of [0.1, 0.9]"),
        (np.mean, "to have shape (2,)"),
    ],
    "evaluation/leaderboard/leak": [
        (first_that(looks_at_fits_only), "scored before the choice"),
        (first_that(whole_test_sets_only), "One test row is enough"),
        (first_that(until_the_choice_only), "not even after the choice"),
        (first_that(forgets_the_second_score), "scored twice"),
        (first_that(any_touch), "This log is clean"),
        (before_the_first_choice, "before the last choice, which"),
        (yes_or_no, "Return the number of an event, or None; got True"),
    ],
    "evaluation/leaderboard/comparable": [
        (pairs_where(by("data", "metric")), "compare the hashes"),
        (pairs_where(by("sha256")), "share no scale"),
        (pairs_where(by("sha256", "metric"), lambda row: True), "chosen on test"),
        (pairs_where(by("sha256", "metric", "chosen_on"), lambda row: True), "E and H"),
        (pairs_where(by("data", "sha256", "metric")), "under two names"),
        (both_ways, "stands in the list twice"),
        (lambda rows: None, "Return a list of pairs"),
    ],
    "evaluation/leaderboard/one_se": [
        (lambda scores, size: scores.mean(axis=1).argmax(), "That is the best mean"),
        (within(lambda s, best: s[best].std(ddof=1)), "divide by the root"),
        (own_error, "not of the one you look at"),
        (lambda scores, size: 2, "any order"),
        (within(standard_error, np.argmax), "That is the best mean"),
        (lambda scores, size: size.argmin() + 5, "There is no candidate 5"),
    ],
}
