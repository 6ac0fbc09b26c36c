"""What the page Why it works says: plain words, every term explained where it first appears."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["INTRO", "LAB", "SECTIONS", "Words"]


@dataclass(frozen=True)
class Words:
    """One section: the claim, its explanation, its equation and what to look for."""

    title: str
    text: str
    equation: str
    look: str


INTRO = (
    "A classifier knows the kinds of image it was trained on; those are **in-distribution (ID)**. "
    "All others are **out-of-distribution (OOD)**. Inside it, an image passes through **layers**: "
    "each turns the numbers it gets into new ones. One such number is the **activation** of a "
    "**unit**; a unit is *on* when its activation is above zero. All activations of one layer "
    "form a vector $a$, and its **feature norm** (L1 norm) $\\lVert a\\rVert_1=\\sum_i |a_i|$ is "
    "the sum of their sizes. ID images often have the larger norm, so the norm can tell ID from "
    "OOD. How well it does is its **AUROC**: the chance that a random ID image has the larger "
    "value than a random OOD image. 50 % is a coin, 100 % is perfect.\n\nWhy does the norm know? "
    "Park et al. (ICCV 2023, arXiv 2310.05316) give the answers that are tested below, first on "
    "your network, then on small networks trained here. Each heading is a claim; the verdict "
    "under its figure is computed from these data. Brackets are 95 % intervals: a claim *holds "
    "here* when its whole interval lies on the claimed side, *does not hold here* when it lies on "
    "the other, and is *not decided here* when it covers the border. Numbers in brackets beside "
    "equations are the paper's."
)

LAB = (
    "These sections train 71 small networks on handwritten digits on this computer: four hidden "
    "layers (layers between image and output) of 128 **ReLU** units, which replace negative "
    "numbers by zero, without biases. Digits 0 to 7 are ID; 8 and 9 and five other sets are OOD. "
    "Each setting is trained from five random starts (the last section: eight digits, two starts "
    "each), and intervals come from the differences between networks."
)

SECTIONS = {
    "hidden": Words(
        "The feature norm is the confidence of a classifier hidden in the layer",
        "At its end the network gives one number per class, the **logit**; the largest one names "
        "the class, and its size is the network's confidence. For one given image the part of the "
        "network behind a layer is a weighted sum of the layer's activations, plus what its "
        "**biases** (constants that layers add) contribute: row $C_k(x)$ of the **coefficient "
        "matrix** holds the weights of class $k$, found by automatic differentiation, which works "
        "out how each logit answers to each activation. In the *penultimate* layer, the one right "
        "before the logits, they are simply the last layer's weights. Now keep only the sign of "
        "each weight, $+1$ or $-1$: what remains is a cruder classifier, **hidden** in the layer. "
        "Its largest logit is reached where most active units speak for one class, and it can "
        "never exceed the norm. The gap between the two is the **approximation error**: twice the "
        "activation of the units that speak against the winning class.",
        r"\bar\psi_k=\sum_i b_{ki}\,a_i,\qquad b_{ki}=\mathrm{sign}\,C_{ki}(x)"
        r"\\ 0\le\lVert a\rVert_1-\bar\psi_k\le\max_i|a_i|\cdot"
        r"\lVert \mathrm{sign}(a)-b_k\rVert_1\quad(5)",
        "No point may lie above the dashed line, where both numbers are equal. ID points (blue) "
        "near the line and far to the right, OOD points lower and to the left: then the norm "
        "tells them apart as a confidence does.",
    ),
    "layers": Words(
        "Every layer hides one, and training sharpens it",
        "The same measurement in each hidden layer of networks trained here with labels. "
        "**Accuracy** is the share of images whose class the hidden classifier names. "
        "**Prediction entropy** says how undecided it is, in nats (natural logarithms): 0 when one "
        "class takes all, 2.08 when eight are equally likely. "
        "**Units whose sign disagrees** are units that are on although the winning class counts "
        "them negative, or off although it counts them positive. **Relative error** is the "
        "approximation error as a share of the norm.",
        r"\psi = C(x)\,a \quad\text{holds exactly in these networks (the paper's Proposition 1)}",
        "Accuracy far above chance (12.5 % for eight digits) in every layer, and after training a "
        "smaller error for ID images (blue) than for OOD images (orange).",
    ),
    "training": Words(
        "Training makes the norm large for ID images",
        "Before training, weights are random and the norm knows nothing of digits. Training "
        "pushes up the confidence on ID images, and with it the norm; on OOD images it rises less.",
        r"\mathrm{AUROC}=P\big(\lVert a_{\mathrm{ID}}\rVert_1>\lVert a_{\mathrm{OOD}}\rVert_1\big)",
        "The blue curves leave the orange one within a few epochs (passes over the training "
        "images) and stay above it, also for ID images that the network never saw.",
    ),
    "labels": Words(
        "It needs no class labels",
        "If the norm is the confidence of *some* classifier, any labels should do. Five kinds are "
        "tried. **Supervised**: the true digits. **Instance**: each image is a class of its own, "
        "so no human label is used. **Instance, augmented**: the same, with images shifted, "
        "turned and scaled a little. **Random binary**: a coin tossed for each image. **One "
        "label**: the same for all, so nothing has to be told apart.",
        r"\min\ \sum_x -\log \mathrm{softmax}_{y(x)}\,\psi(x),\quad "
        r"y\in\{\text{digit},\text{own number},\text{coin},0\}",
        "Curves that end above the dotted line: the norm separates. On the left the images are "
        "the ones that were trained on, on the right they are new. Bands span the five random "
        "starts.",
    ),
    "entropy": Words(
        "Units that switch tell more than units that do not",
        "A unit that is on for every ID image, or for none, says nothing about them. **Activation "
        "entropy** measures how much units switch: $p_i$ is the share of ID images for which unit "
        "$i$ is on, and the entropy is largest ($\\ln 2 = 0.693$ nats, the unit of natural "
        "logarithms) at one half. The paper links it to "
        "how well the norm separates.",
        r"H=\frac1d\sum_i\big[-p_i\ln p_i-(1-p_i)\ln(1-p_i)\big]\quad(7)",
        "A cloud that rises from left to right would show the link; one that falls contradicts it.",
    ),
    "nan": Words(
        "The norm misses what is switched off; NAN counts it",
        "A confident network also switches units *off*. The plain norm cannot see that: zeros add "
        "nothing. The **sparsity term** $1/\\lVert a\\rVert_0$ can: $\\lVert a\\rVert_0$ is the "
        "number of units that are on. Their product is the **negative-aware norm (NAN)**, the "
        "mean activation of the units that are on.",
        r"\mathrm{NAN}(a)=\frac{\lVert a\rVert_1}{\lVert a\rVert_0},\qquad "
        r"\lVert a\rVert_0=\#\{i: a_i>0\}\quad(10)",
        "The blue dot to the right of the grey square: NAN separates better than the norm. The "
        "line between them is what the sparsity term adds or takes.",
    ),
    "depth": Words(
        "The last hidden layer separates best",
        "Every layer has a norm. Deeper layers depend more on what the network has learned.",
        r"\lVert a^{(\ell)}\rVert_1,\ \mathrm{NAN}(a^{(\ell)})\quad \ell=1,\dots,4",
        "Curves that rise to the right, and on the right-hand chart the share of units that are "
        "on, for ID and OOD images.",
    ),
    "width": Words(
        "A wider last hidden layer separates better",
        "Its width $d_L$ is its number of units. More units mean more votes for the hidden "
        "classifier, but also more that are on by chance.",
        r"\lVert a\rVert_1=\sum_{i=1}^{d_L}|a_i|",
        "How each curve runs from narrow to wide. Bands span the five random starts.",
    ),
    "one_class": Words(
        "Knowing a single class can be enough",
        "One network for each digit, trained on images of that digit only and without labels: "
        "each image, shifted and turned a little, is a class of its own. The other nine digits "
        "are then OOD. The paper does this on natural images with a larger network and another "
        "training method (MoCo-v2), so this is the same question, not the same experiment.",
        r"\mathrm{AUROC}\big(\text{digit } c \text{ against all other digits}\big)",
        "Points above the dotted line.",
    ),
}
