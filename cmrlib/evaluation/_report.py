"""One call that measures a model in both directions under the declared protocol."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cmrlib.base import RetrievalModel
from cmrlib.datasets import PairedDataset
from cmrlib.evaluation.ranking import (
    label_relevance,
    mean_average_precision,
    pair_relevance,
    precision_at_k,
    recall_at_k,
)


@dataclass(frozen=True)
class Report:
    """What :func:`evaluate` found: one figure a metric and direction, cut-offs in the names.

    Attributes
    ----------
    image_to_text, text_to_image : dict of str to float
        ``mAP@all`` and ``P@k`` over classes, ``R@k`` over pairs.
    random : dict of str to float
        What ranking at random gives, image to text, for the same metrics.
    n_queries : int
        In each direction.
    n_without_relevant : int
        Queries whose class no item shares; the means over classes leave them out.
    """

    image_to_text: dict[str, float]
    text_to_image: dict[str, float]
    random: dict[str, float]
    n_queries: int
    n_without_relevant: int = field(default=0)

    def __str__(self) -> str:
        lines = [f"{'':10}  image->text  text->image  random"]
        lines += [
            f"{name:10}  {value:11.3f}  {self.text_to_image[name]:11.3f}  {self.random[name]:6.3f}"
            for name, value in self.image_to_text.items()
        ]
        lines.append(f"{self.n_queries} queries, {self.n_without_relevant} with no relevant item")
        return "\n".join(lines)

    __repr__ = __str__


def evaluate(
    model: RetrievalModel,
    data: PairedDataset,
    *,
    precision_at: tuple[int, ...] = (10,),
    recall_at: tuple[int, ...] = (1, 5, 10),
) -> Report:
    """Measure retrieval within one data set, image to text and text to image.

    Every item queries all items of the other modality, its own partner among them.

    Parameters
    ----------
    model : RetrievalModel
        Fitted, on other data.
    data : PairedDataset
    precision_at : tuple of int
        Cut-offs k of P@k, where an item is relevant if it shares the query's class.
    recall_at : tuple of int
        Cut-offs k of R@k, where only the query's own partner is relevant.

    Returns
    -------
    Report
        ``mAP@all`` is the mean over queries of the average precision of the whole ranking; ties
        count as their expectation. Without labels only R@k is reported.

    Raises
    ------
    TypeError
        If `model` is not one of this package's, or `data` no :class:`PairedDataset`.
    """
    if not isinstance(model, RetrievalModel):
        raise TypeError(f"model must be a cmrlib model, got {type(model).__name__}.")
    if not isinstance(data, PairedDataset):
        raise TypeError(f"data must be a PairedDataset, got {type(data).__name__}.")
    S = np.asarray(model.similarity(data.image, data.text))
    same_pair = pair_relevance(len(data))
    same_class = None if data.labels is None else label_relevance(data.labels, data.labels)
    answerable = np.ones(len(S), bool) if same_class is None else same_class.any(axis=1)

    def measure(S: np.ndarray) -> dict[str, float]:
        found = {}
        if same_class is not None:
            found["mAP@all"] = mean_average_precision(S, same_class)
            for k in precision_at:
                found[f"P@{k}"] = float(precision_at_k(S, same_class, k)[answerable].mean())
        for k in recall_at:
            found[f"R@{k}"] = float(recall_at_k(S, same_pair, k).mean())
        return found

    random = measure(np.zeros_like(S))
    return Report(measure(S), measure(S.T), random, len(data), int((~answerable).sum()))
