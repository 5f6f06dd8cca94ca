"""Image quality against its defining sums in loops, hand values, scikit-image, pytorch-msssim."""

import numpy as np
import pytest

from cmrlib.evaluation import image_quality, ms_psnr, ms_ssim, psnr, ssim

MEASURES = {"psnr": psnr, "ms_psnr": ms_psnr, "ssim": ssim, "ms_ssim": ms_ssim}


def pictures(height, width, channels=None, seed=0):
    """Return a smooth picture with edges and a disturbed copy, bytes."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    shape = (height, width, channels or 1)
    reference = 120 + 60 * np.sin(x / 17)[..., None] + 50 * (y // 16 % 2)[..., None]
    reference = reference + 10 * np.arange(shape[2])
    disturbed = np.roll(reference, 1, axis=1) * 0.9 + rng.normal(0, 12, shape)
    both = [np.clip(np.round(z), 0, 255).astype(np.uint8) for z in (reference, disturbed)]
    return both if channels else [z[..., 0] for z in both]


def plain_ssim_map(x, y, peak):
    """SSIM by its definition, in a loop over windows: weighted means, variances, covariance."""
    offset = np.arange(11) - 5
    w = np.exp(-(offset[:, None] ** 2 + offset[None] ** 2) / (2 * 1.5**2))
    w /= w.sum()
    C1, C2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    height, width = x.shape
    luminance, contrast = np.empty((2, height - 10, width - 10))
    for i, j in np.ndindex(luminance.shape):
        a, b = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
        ma, mb = (w * a).sum(), (w * b).sum()
        va, vb = (w * (a - ma) ** 2).sum(), (w * (b - mb) ** 2).sum()
        cov = (w * (a - ma) * (b - mb)).sum()
        luminance[i, j] = (2 * ma * mb + C1) / (ma**2 + mb**2 + C1)
        contrast[i, j] = (2 * cov + C2) / (va + vb + C2)
    return luminance, contrast


def halve(x):
    x = x[: len(x) // 2 * 2, : x.shape[1] // 2 * 2]  # without the rest of an odd side
    return (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4


def test_psnr_by_hand():
    """Errors 0, 0, 0, 10: MSE 25, so 10 log10(255² / 25) = 20 log10(51)."""
    reference = np.zeros((2, 2), np.uint8)
    picture = np.array([[0, 0], [0, 10]], np.uint8)
    assert psnr(reference, picture) == pytest.approx(20 * np.log10(51))
    assert psnr(picture, reference) == psnr(reference, picture)  # 0 - 10 is no byte
    assert psnr(reference / 255, picture / 255, data_range=1) == pytest.approx(20 * np.log10(51))


def test_ms_psnr_by_hand():
    """One error of 16 in 4 x 4: after averages of 2 x 2 and 4 x 4 one of 4, then of 1."""
    picture = np.zeros((4, 4), np.uint8)
    picture[1, 2] = 16
    mse = [16**2 / 16, 4**2 / 4, 1]
    truth = np.mean([10 * np.log10(255**2 / error) for error in mse])
    assert ms_psnr(np.zeros((4, 4), np.uint8), picture, n_scales=3) == pytest.approx(truth)
    one = ms_psnr(np.zeros((4, 4), np.uint8), picture, n_scales=1)
    assert one == psnr(np.zeros((4, 4), np.uint8), picture)


def test_ssim_equals_its_definition():
    x, y = (z.astype(float) for z in pictures(24, 30))
    luminance, contrast = plain_ssim_map(x, y, 255)
    assert ssim(x, y, data_range=255) == pytest.approx((luminance * contrast).mean(), rel=1e-12)
    assert 0.1 < ssim(x, y, data_range=255) < 0.9  # else the line above says little


def test_ms_ssim_equals_its_definition():
    x, y = (z.astype(float) for z in pictures(176, 184))
    truth = 1.0
    for scale, weight in enumerate(image_quality.WEIGHTS):
        luminance, contrast = plain_ssim_map(x, y, 255)
        truth *= (luminance * contrast if scale == 4 else contrast).mean() ** weight
        x, y = halve(x), halve(y)
    assert ms_ssim(*pictures(176, 184)) == pytest.approx(truth, rel=1e-10)


def test_two_constant_pictures_leave_the_luminance_term():
    """Variances are 0: SSIM = (2 · 100 · 120 + C1) / (100² + 120² + C1), C1 = 2.55²."""
    x, y = np.full((20, 20), 100, np.uint8), np.full((20, 20), 120, np.uint8)
    truth = (2 * 100 * 120 + 2.55**2) / (100**2 + 120**2 + 2.55**2)
    assert ssim(x, y) == pytest.approx(truth, rel=1e-9)


@pytest.mark.parametrize("channels", [None, 3])
def test_agrees_with_scikit_image(channels):
    metrics = pytest.importorskip("skimage.metrics")
    x, y = pictures(60, 75, channels)
    assert psnr(x, y) == pytest.approx(metrics.peak_signal_noise_ratio(x, y), rel=1e-12)
    theirs = metrics.structural_similarity(
        x.astype(float),
        y.astype(float),
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=2 if channels else None,
    )
    assert ssim(x, y) == pytest.approx(theirs, rel=1e-10)


@pytest.mark.parametrize("side", [176, 192])
def test_agrees_with_pytorch_msssim(side):
    """With a double-precision window, its own is float32; on sides without a rest at any scale."""
    torch = pytest.importorskip("torch")
    peer = pytest.importorskip("pytorch_msssim")
    x, y = pictures(side, side, 3)
    tensors = [torch.tensor(z.astype(float)).permute(2, 0, 1)[None] for z in (x, y)]
    window = torch.exp(-((torch.arange(11.0, dtype=torch.float64) - 5) ** 2) / (2 * 1.5**2))
    options = {"data_range": 255, "win": (window / window.sum()).repeat(3, 1, 1, 1)}
    assert ssim(x, y) == pytest.approx(float(peer.ssim(*tensors, **options)), rel=1e-9)
    theirs = float(peer.ms_ssim(*tensors, **options))
    assert ms_ssim(x, y) == pytest.approx(theirs, rel=1e-9)
    assert 0.2 < theirs < 0.98


@pytest.mark.parametrize("name", MEASURES)
def test_equal_pictures_are_perfect_and_order_does_not_matter(name):
    measure = MEASURES[name]
    x, y = pictures(180, 200, 3)
    assert measure(x, x) == (np.inf if "psnr" in name else pytest.approx(1, abs=1e-12))
    assert measure(x, y) == pytest.approx(measure(y, x), rel=1e-12)
    assert measure(x, y) < measure(x, x)
    scaled = measure(x / 255, y / 255, data_range=1.0)
    assert scaled == pytest.approx(measure(x, y), rel=1e-9)


@pytest.mark.parametrize("name", MEASURES)
def test_more_noise_is_worse(name):
    x, _ = (z.astype(float) for z in pictures(180, 180))
    noise = np.random.default_rng(0).normal(size=x.shape)
    values = [MEASURES[name](x, x + s * noise, data_range=255) for s in (2, 8, 32)]
    assert values[0] > values[1] > values[2]


def test_negative_of_a_picture_has_negative_ssim_and_no_ms_ssim():
    x, _ = pictures(180, 180)
    texture = np.random.default_rng(0).integers(0, 256, x.shape).astype(np.uint8)
    assert ssim(texture, 255 - texture) < -0.5
    assert ms_ssim(texture, 255 - texture) == 0


X = np.zeros((200, 200))
BAD = {
    "shapes": ((X, X[:-1]), {"data_range": 1}, ValueError, r"one shape.*\(200, 200\)"),
    "1-d": ((X[0], X[0]), {"data_range": 1}, ValueError, "height, width"),
    "empty": ((X[:0], X[:0]), {"data_range": 1}, ValueError, "one shape"),
    "NaN": ((X, X + np.nan), {"data_range": 1}, ValueError, "NaN or infinity"),
    "words": ((X.astype(str), X), {"data_range": 1}, TypeError, "real numbers"),
    "no range": ((X, X), {}, ValueError, "of float64 and float64 the range.*give data_range"),
    "one is no bytes": ((X.astype(np.uint8), X), {}, ValueError, "of uint8 and float64"),
    "range": ((X, X), {"data_range": 0}, ValueError, "data_range must be positive, got 0"),
}


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused(name, case):
    arrays, options, error, sentence = BAD[case]
    with pytest.raises(error, match=sentence):
        MEASURES[name](*arrays, **options)


def test_small_pictures_are_refused():
    small = np.zeros((10, 200), np.uint8)
    with pytest.raises(ValueError, match="at least 11 pixels a side"):
        ssim(small, small)
    middle = np.zeros((175, 200), np.uint8)
    with pytest.raises(ValueError, match="at least 176 pixels a side"):
        ms_ssim(middle, middle)
    with pytest.raises(ValueError, match="5 scales need at least 1 scale and pictures of 16"):
        ms_psnr(small, small)
    with pytest.raises(ValueError, match="0 scales need"):
        ms_psnr(small, small, n_scales=0)
