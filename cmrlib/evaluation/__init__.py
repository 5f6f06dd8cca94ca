"""Metrics of retrieval, with cut-offs, denominators and ties declared."""

from cmrlib.evaluation._report import Report, evaluate
from cmrlib.evaluation.image_quality import ms_psnr, ms_ssim, psnr, ssim
from cmrlib.evaluation.lookup import Lookup, hamming_distance, hamming_lookup
from cmrlib.evaluation.ranking import (
    average_precision,
    f1_at_k,
    first_relevant_rank,
    graded_relevance,
    label_relevance,
    mean_average_precision,
    mean_reciprocal_rank,
    median_rank,
    ndcg_at_k,
    pair_relevance,
    precision_at_k,
    precision_recall,
    random_average_precision,
    recall_at_k,
    reciprocal_rank,
    top_n_precision,
)
from cmrlib.evaluation.statistics import Interval, PairedTest, bootstrap_interval, paired_test

__all__ = [
    "Interval",
    "Lookup",
    "PairedTest",
    "Report",
    "average_precision",
    "bootstrap_interval",
    "evaluate",
    "f1_at_k",
    "first_relevant_rank",
    "graded_relevance",
    "hamming_distance",
    "hamming_lookup",
    "label_relevance",
    "mean_average_precision",
    "mean_reciprocal_rank",
    "median_rank",
    "ms_psnr",
    "ms_ssim",
    "ndcg_at_k",
    "paired_test",
    "pair_relevance",
    "precision_at_k",
    "precision_recall",
    "psnr",
    "random_average_precision",
    "recall_at_k",
    "reciprocal_rank",
    "ssim",
    "top_n_precision",
]
