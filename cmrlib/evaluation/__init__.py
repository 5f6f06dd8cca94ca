"""Metrics of retrieval, with cut-offs, denominators and ties declared."""

from cmrlib.evaluation._report import Report, evaluate
from cmrlib.evaluation.ranking import (
    average_precision,
    label_relevance,
    mean_average_precision,
    pair_relevance,
    precision_at_k,
    precision_recall,
    random_average_precision,
    recall_at_k,
)

__all__ = [
    "Report",
    "average_precision",
    "evaluate",
    "label_relevance",
    "mean_average_precision",
    "pair_relevance",
    "precision_at_k",
    "precision_recall",
    "random_average_precision",
    "recall_at_k",
]
