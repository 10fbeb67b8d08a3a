"""The callbacks of a recipe: all that a user may want to set are named, switched off or on.

An override reaches what is declared alone: ``--trainer.callbacks.wandb.enabled=true``.
"""

from __future__ import annotations

from olmo_core.data import TokenizerConfig
from olmo_core.train.callbacks import (
    Callback,
    CallbackConfig,
    CometCallback,
    ConfigSaverCallback,
    ConsoleLoggerCallback,
    DownstreamEvaluatorCallbackConfig,
    ProfilerCallback,
    WandBCallback,
)

from olmo_anchor.training.callbacks import (
    AnchorStateCallback,
    GPUMemoryCallback,
    MetricsFileCallback,
    TrimPaddingCallback,
)
from olmo_anchor.training.checkpointer import AnchorCheckpointerCallback
from olmo_anchor.training.drift import AnchorDriftCallbackConfig
from olmo_anchor.training.hardware import Hardware
from olmo_anchor.training.role_counts import RoleCountsCallback

__all__ = ["declared_callbacks"]


def declared_callbacks(
    tokenizer: TokenizerConfig,
    hardware: Hardware,
    *,
    drift: AnchorDriftCallbackConfig,
    save_interval: int,
    log_interval: int,
    trim_padding: bool,
) -> dict[str, Callback | CallbackConfig]:
    """By the name that an override knows each by.

    :param save_interval: steps between two checkpoints that stay.
    :param log_interval: steps between two lines on the console.
    """
    return {
        "anchor_state": AnchorStateCallback(),
        "checkpointer": AnchorCheckpointerCallback(
            save_interval=save_interval,
            ephemeral_save_interval=None,
            pre_train_checkpoint=False,
            max_checkpoints=2,
            # Saved asynchronously, each rank records a metric when its own part is done.
            # Ranks then reduce different metrics, and wait for each other for ever.
            save_async=False,
        ),
        "comet": CometCallback(enabled=False),
        "config_saver": ConfigSaverCallback(),
        "console_logger": ConsoleLoggerCallback(
            log_interval=log_interval,
            metrics_log_interval=log_interval,
            metrics=[
                "train/CE loss",
                "optim/LR*",
                "throughput/device/TPS",
                "throughput/device/MFU",
            ],
        ),
        # Needs ai2-olmo-eval, and the tokenizer's name on the hub (tokenizer.identifier).
        "downstream": DownstreamEvaluatorCallbackConfig(
            tasks=["hellaswag", "arc_easy"], tokenizer=tokenizer, enabled=False
        ),
        "drift": drift,
        "gpu_memory": GPUMemoryCallback(enabled=hardware.gpu),
        "metrics_file": MetricsFileCallback(),
        "profiler": ProfilerCallback(enabled=False),
        "role_counts": RoleCountsCallback(),
        "trim_padding": TrimPaddingCallback(
            pad_token_id=tokenizer.pad_token_id, enabled=trim_padding
        ),
        "wandb": WandBCallback(enabled=False),
    }
