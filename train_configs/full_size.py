"""What the full-size recipes share: the paper's three sizes, pretraining and post-training.

Each number says whose it is. `paper`: arXiv 2605.09995, its appendix A and C. `OLMo 2`: the
settings that Ai2 published (arXiv 2501.00656). `ladder`: OLMo-core's model ladder, after Porian et
al. (2024). `ours`: the paper's tables 6 to 8 are not in the text that we have, and nothing
published fits.

No recipe itself: pretrain_*.py, sft_*.py and their like choose a size and an arm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from olmo_core.nn.transformer import TransformerConfig
from olmo_core.optim import CosWithWarmup
from olmo_core.optim.scheduler import LinearWithWarmup

from olmo_anchor.errors import InputError
from olmo_anchor.policy import MaskPolicy
from olmo_anchor.training.models import adamw, ladder_lr, olmo2_2500M, olmo2_like
from olmo_anchor.training.recipes import AnchoredExperimentConfig, Inputs, experiment

GPUS = 8  # paper (A.4): one node of 8 H100s
OLMO2_1B = "hf://allenai/OLMo-2-0425-1B"
ANNEAL_TOKENS = int(4e9)  # ours
# Ours: 939,343 conversations of .67 billion tokens (data_prep/tulu3.yaml), and 40 tokens for each
# annotation (the keyword annotator writes about 30 before a chunk of a book).
TULU3 = (939_343, int(0.67e9) + 939_343 * 40)
# 200,000 stories of a subset (paper, F.2), of 285 tokens each (data_prep/simplestories.yaml), with
# a request and an annotation (ours).
SIMPLESTORIES = (200_000, 200_000 * (285 + 60))


@dataclass(frozen=True)
class Size:
    """Batches in rows of ``length`` tokens; conversations one a row, or several in packed rows."""

    model: Callable[[int], TransformerConfig]
    tokens: int
    rows: int
    microbatch_rows: int
    length: int = 4096  # OLMo 2
    conversations: int = 128  # OLMo 2 1B's SFT: an effective batch of 128
    packed_rows: int = (
        24  # ours: TULU3's conversations with annotations fill 24 rows with about 128
    )


SIZES = {
    # tokens: paper (A.2), 20 a parameter. rows: ladder (1.0, 1.5 and 2.7 million tokens), rounded
    # to what 8, 16 and 32 GPUs share evenly. microbatch_rows: ours, from the estimate of memory.
    "600M": Size(TransformerConfig.olmo2_600M, int(12e9), rows=256, microbatch_rows=4),
    "1B": Size(TransformerConfig.olmo2_1B_v2, int(20e9), rows=384, microbatch_rows=4),
    "2500M": Size(olmo2_2500M, int(50e9), rows=640, microbatch_rows=2),
    # Ours: to see every step of a recipe on a CPU, not to learn anything.
    "tiny": Size(
        lambda vocab_size: olmo2_like(d_model=64, n_layers=2, n_heads=2, vocab_size=vocab_size),
        tokens=16_384,
        rows=8,
        microbatch_rows=4,
        length=256,
        conversations=8,
        packed_rows=4,
    ),
}


def size_of(inputs: Inputs, name: str) -> Size:
    """The size that the command line names, or else the recipe's own."""
    try:
        return SIZES[inputs.size or name]
    except KeyError:
        raise InputError(f"--size {inputs.size}: the sizes are {', '.join(SIZES)}") from None


def pretraining(inputs: Inputs, name: str, *, annotations: bool) -> AnchoredExperimentConfig:
    """From nothing, on a corpus cut into rows; annotations replace content, token for token."""
    size = size_of(inputs, name)
    model = size.model(inputs.vocab_size)
    return experiment(
        inputs,
        model=model,
        optim=adamw(
            lr=ladder_lr(model.num_non_embedding_params), weight_decay=0.1
        ),  # ladder; OLMo 2
        # The ladder warms up over as many tokens as the model has parameters: 1 in 20.
        scheduler=CosWithWarmup(warmup_fraction=0.05, alpha_f=0.1),  # ladder; OLMo 2
        sequence_length=size.length,
        rows=size.rows,
        microbatch_rows=size.microbatch_rows,
        max_tokens=inputs.budget or size.tokens,
        chunked=True,
        accelerate=True,
        z_loss=1e-5,  # OLMo 2
        annotations=annotations,
        save_interval=1000,
        log_interval=10,
    )


def post_training(
    inputs: Inputs,
    name: str,
    *,
    annotations: bool,
    policy: MaskPolicy = MaskPolicy.full,
    expected: tuple[int, int] = TULU3,
) -> AnchoredExperimentConfig:
    """One epoch of conversations, the last response of each trained (paper, C.1 and B.3).

    One in a hundred (ours) is held out, for the loss that chooses the learning rate (paper, C.2).

    :param expected: conversations in the data, and tokens with annotations.
    """
    if inputs.budget is not None:
        raise InputError(
            "--budget is for pretraining; of conversations a share is taken, such as an eighth "
            "with --dataset.selection.share=.125"
        )
    size = size_of(inputs, name)
    return experiment(
        inputs,
        model=size.model(inputs.vocab_size),
        # OLMo 2 1B's SFT. The paper chooses it by held-out loss: olmo-anchor sweep.
        optim=adamw(lr=3e-5, weight_decay=0.0),
        scheduler=LinearWithWarmup(warmup_fraction=0.03, alpha_f=0.0),  # OLMo 2 1B's SFT
        sequence_length=size.length,
        rows=size.conversations,
        packed_rows=size.packed_rows,
        microbatch_rows=size.microbatch_rows,
        accelerate=True,
        refuse_long=True,
        held_out=True,
        annotations=annotations,
        policy=policy,
        expected_documents=expected[0],
        expected_tokens=expected[1],
        save_interval=500,
        log_interval=10,
    )


def annealing(inputs: Inputs, *, annotations: bool) -> AnchoredExperimentConfig:
    """A few billion tokens more for a released OLMo 2 1B: as its own second stage, at that rate."""
    if inputs.load_path is None and inputs.size is None:
        inputs = replace(inputs, load_path=OLMO2_1B)
    size = size_of(inputs, "1B")
    return experiment(
        inputs,
        model=size.model(inputs.vocab_size),
        # OLMo 2: from where the cosine of the first stage ends, a tenth of 4e-4, to nothing.
        optim=adamw(lr=4e-5, weight_decay=0.1),
        scheduler=LinearWithWarmup(warmup_fraction=0.01, alpha_f=0.0),  # ours; OLMo 2
        sequence_length=size.length,
        rows=size.rows,
        microbatch_rows=size.microbatch_rows,
        max_tokens=inputs.budget or (size.tokens if inputs.size else ANNEAL_TOKENS),
        chunked=True,
        accelerate=True,
        z_loss=1e-5,  # OLMo 2
        annotations=annotations,
        save_interval=500,
        log_interval=10,
    )
