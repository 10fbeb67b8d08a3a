"""Models and optimizers that recipes choose from."""

from __future__ import annotations

from typing import Any

from olmo_core.nn.attention import AttentionBackendName, AttentionConfig
from olmo_core.nn.transformer import (
    TransformerBlockConfig,
    TransformerBlockType,
    TransformerConfig,
)
from olmo_core.optim import AdamWConfig, OptimGroupOverride

__all__ = [
    "adamw",
    "ladder_batch_tokens",
    "ladder_lr",
    "olmo2_2500M",
    "olmo2_like",
    "set_attention",
]


def olmo2_like(
    *, d_model: int, n_layers: int, n_heads: int, vocab_size: int, **kwargs: Any
) -> TransformerConfig:
    """OLMo 2's architecture at any size: reordered norm, normed queries and keys, no biases."""
    return TransformerConfig.llama_like(
        d_model=d_model,
        n_layers=n_layers,
        n_heads=n_heads,
        vocab_size=vocab_size,
        block_name=TransformerBlockType.reordered_norm,
        qk_norm=True,
        layer_norm_eps=1e-6,
        attn_backend=kwargs.pop("attn_backend", AttentionBackendName.torch),
        **kwargs,
    )


def olmo2_2500M(vocab_size: int) -> TransformerConfig:
    """The paper's 2.5B, which OLMo-core has no name for: 2.56 billion without the embedding."""
    return olmo2_like(
        d_model=2560,
        n_layers=22,
        n_heads=20,
        vocab_size=vocab_size,
        hidden_size_multiplier=1.5,
        rope_theta=500_000,
    )


def set_attention(model: TransformerConfig, backend: AttentionBackendName) -> TransformerConfig:
    """The same model with another attention backend."""
    model = model.copy()
    assert isinstance(model.block, TransformerBlockConfig)
    assert isinstance(model.block.sequence_mixer, AttentionConfig)
    model.block.sequence_mixer.backend = backend
    return model


def adamw(*, lr: float, weight_decay: float, eps: float = 1e-8) -> AdamWConfig:
    """AdamW with OLMo 2's betas; embeddings are not decayed."""
    embeddings = OptimGroupOverride(params=["embeddings.weight"], opts={"weight_decay": 0.0})
    return AdamWConfig(
        lr=lr,
        weight_decay=weight_decay,
        eps=eps,
        betas=(0.9, 0.95),
        group_overrides=[embeddings] if weight_decay else None,
    )


def ladder_lr(parameters: int) -> float:
    """The peak learning rate that OLMo-core's model ladder gives to a model trained on sequences
    of 4096 tokens: a quarter of what Porian et al. (2024, arXiv 2406.19146) fit on 2048.

    :param parameters: without the embedding.
    """
    return float(0.0047 * (parameters / 108e6) ** (-1 / 3) / 4)


def ladder_batch_tokens(parameters: int) -> float:
    """Tokens in a global batch by the same ladder: 160 sequences of 2048 for 108 M parameters."""
    return float(160 * 2048 * (parameters / 108e6) ** (2 / 3))
