"""Pretrain a small standard base on real prose: the corpus alone, in OLMo 2's own vocabulary.

Four layers of width 128, which are 1 M parameters, and 26 M for the vocabulary: that is where the
time goes. 200 steps of four chunks of 256 tokens, 0.2 M tokens in all, in some seven minutes on one
CPU thread: enough to see every part work, not to write well. Heads are 32 wide, as vLLM's CPU
kernels refuse 16. The sibling: small_base_annotated.py.

  python train_configs/small_base_standard.py --tokens TOKENS --overlay OVERLAY --save-folder RUN
"""

from __future__ import annotations

from olmo_core.nn.transformer import TransformerConfig
from olmo_core.optim import CosWithWarmup
from olmo_core.train import Duration

from olmo_anchor.training.launch import main
from olmo_anchor.training.recipes import (
    AnchoredExperimentConfig,
    Inputs,
    adamw,
    experiment,
    olmo2_like,
)


def model(inputs: Inputs) -> TransformerConfig:
    return olmo2_like(d_model=128, n_layers=4, n_heads=4, vocab_size=inputs.vocab_size)


def build(inputs: Inputs) -> AnchoredExperimentConfig:
    return experiment(
        inputs,
        model=model(inputs),
        optim=adamw(lr=3e-3, weight_decay=0.1),
        scheduler=CosWithWarmup(warmup=30, alpha_f=0.1),
        sequence_length=256,
        rows=4,
        # Books are longer than an instance: they are cut into chunks, which padded rows would lose.
        chunked=True,
        duration=Duration.steps(200),
        annotations=False,
        log_interval=10,
        save_interval=100,
    )


if __name__ == "__main__":
    main(build, __doc__)
