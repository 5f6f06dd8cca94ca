"""Real-valued deep models: autoencoders, ranking, adversarial and contrastive learning."""

from cmrlib.realvalued.adversarial import ACMR, MS2GAN, UCAL
from cmrlib.realvalued.autoencoders import BimodalAE, CorrAE, CorrCrossAE, CorrFullAE
from cmrlib.realvalued.bidirectional import DBRLM
from cmrlib.realvalued.boltzmann import RBM, MultimodalDBM
from cmrlib.realvalued.clicks import MRWNN
from cmrlib.realvalued.contrastive import DualEncoder
from cmrlib.realvalued.ranking import PAMIR, SSI, UWML
from cmrlib.realvalued.reconstruction import MSAE, RRLSL, UnsupervisedRRLSL

__all__ = [
    "ACMR",
    "DBRLM",
    "BimodalAE",
    "CorrAE",
    "CorrCrossAE",
    "CorrFullAE",
    "DualEncoder",
    "MS2GAN",
    "MSAE",
    "MultimodalDBM",
    "MRWNN",
    "PAMIR",
    "RBM",
    "RRLSL",
    "SSI",
    "UCAL",
    "UWML",
    "UnsupervisedRRLSL",
]
