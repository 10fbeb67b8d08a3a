"""What a run takes: floating-point operations, GPU-hours, memory. Estimates, before anything runs.

The operations are OLMo-core's own count (idealised: nothing for recomputation or padding that a
kernel skips). The rest are rules of thumb that a first step on the real machine replaces.
"""

from __future__ import annotations

from dataclasses import dataclass

from olmo_core.nn.attention import AttentionBackendName, AttentionConfig
from olmo_core.nn.transformer import TransformerBlockConfig, TransformerConfig

from olmo_anchor.training.models import set_attention

__all__ = ["H100_FLOPS", "MFU", "Memory", "flops_per_token", "gpu_hours", "memory"]

H100_FLOPS = 989e12
"""Dense bfloat16 operations a second of an H100 (SXM)."""
MFU = 0.4
"""The share of them that a run is taken to reach: what OLMo-core's 1B script reports on H100s
(44,000 tokens a second and GPU) is .4 of the peak."""
_GPUS_A_NODE = 8
_GIB = 1 << 30


def flops_per_token(model: TransformerConfig, sequence_length: int) -> int:
    """Forward and backward, for each token of a row (``Transformer.num_flops_per_token``)."""
    # Built without memory, with the attention that every machine has.
    built = set_attention(model, AttentionBackendName.torch).build(init_device="meta")
    return int(built.num_flops_per_token(sequence_length))


def gpu_hours(flops: float) -> float:
    """Of H100s, at the share :data:`MFU` of their peak."""
    return flops / (MFU * H100_FLOPS) / 3600


@dataclass(frozen=True, slots=True)
class Memory:
    """GiB on each GPU.

    :param state: parameters, gradients and Adam's two moments in float32, sharded over a node.
    :param gathered: the parameters in bfloat16 that one layer's computation gathers.
    :param activations: what the backward pass of a micro-batch keeps, in bfloat16.
    :param logits: of a micro-batch, in bfloat16 and float32, with their gradient.
    """

    state: float
    gathered: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        return self.state + self.gathered + self.activations + self.logits


def memory(model: TransformerConfig, microbatch_tokens: int, gpus: int) -> Memory:
    """Of a run under HSDP without activation checkpointing.

    For each token and layer the backward pass is taken to keep 11 vectors of ``d_model`` (inputs of
    the norms and projections; queries, keys and values before and after their norms) and 3 of the
    feed-forward width.

    :param microbatch_tokens: that a rank computes at once.
    """
    assert isinstance(model.block, TransformerBlockConfig)
    assert model.block.feed_forward is not None
    assert isinstance(model.block.sequence_mixer, AttentionConfig)
    parameters, vocabulary = model.num_params, model.vocab_size * model.d_model
    layer = (model.num_non_embedding_params - vocabulary) / model.n_layers
    kept = 11 * model.d_model + 3 * model.block.feed_forward.hidden_size
    return Memory(
        state=16 * parameters / min(gpus, _GPUS_A_NODE) / _GIB,
        gathered=2 * (2 * vocabulary + 2 * layer) / _GIB,
        activations=2 * kept * model.n_layers * microbatch_tokens / _GIB,
        logits=10 * model.vocab_size * microbatch_tokens / _GIB,
    )
