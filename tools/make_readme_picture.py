"""Draw the retrieval result that the README shows: book/_static/retrieval.png.

python tools/make_readme_picture.py
"""

from __future__ import annotations

from pathlib import Path

from cmrlib.cca import CCA
from cmrlib.datasets import load_emoji
from cmrlib.plotting import retrieval_gallery, set_style

TARGET = Path(__file__).parents[1] / "book" / "_static" / "retrieval.png"


def main() -> None:
    """Fit the README's example and draw its answers to four text queries."""
    set_style()
    train, test = load_emoji().split(test_size=0.25, random_state=0)
    model = CCA(n_components=64, reg=0.3).fit(train.image, train.text)
    similarity = model.similarity(test.image, test.text)
    ax = retrieval_gallery(test, similarity, [40, 160, 250, 417], direction="text->image")
    ax.figure.savefig(TARGET, dpi=100)
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
