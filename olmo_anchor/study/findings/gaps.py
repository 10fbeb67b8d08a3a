"""Which share of the diversity that standard SFT loses an arm keeps (paper, section 5.2)."""

from __future__ import annotations

from collections.abc import Mapping

from olmo_anchor.study.findings.arms import ArmSpec

__all__ = ["LEAST_GAP", "LEAST_STYLE", "gaps", "references"]

LEAST_GAP = 0.5
"""Bits. Where standard SFT lost less there is no gap to speak of, and no share of it."""

LEAST_STYLE = 0.5
"""Of an arm that did not learn what SFT teaches there is no gap: it stayed the base."""
_OF = ("topic", "persona", "mean")
_MAIN = {method: f"main/{method}" for method in ("base_standard", "sft_standard")}


def references(arms: Mapping[str, ArmSpec], arm: ArmSpec) -> tuple[str | None, str | None]:
    """The standard base of its size, and standard SFT of its size on the same data.

    An arm whose data no plain standard SFT of the grid has is held against the main one's.

    :returns: names of arms of the grid, measured or not; None where the grid has none.
    """
    base = _like(arms, arm, "base_standard", data=False)
    return base, _like(arms, arm, "sft_standard", data=True) or _like(
        arms, arm, "sft_standard", data=False
    )


def _like(arms: Mapping[str, ArmSpec], arm: ArmSpec, method: str, *, data: bool) -> str | None:
    found = [
        one
        for one in arms.values()
        if one.method == method
        and one.of is None
        and one.size == arm.size
        and (not data or _data(one) == _data(arm))
    ]
    # Of several the main one; else one that its group has for this, not a variant of training.
    names = [one.name for one in found if one.name == _MAIN[method]]
    names += [one.name for one in found if one.group == arm.group and _plain(one)]
    names += [one.name for one in found if _plain(one)]
    return names[0] if names else None


def _data(arm: ArmSpec) -> object:
    """Two data sets with the same values allowed are alike."""
    said = arm.data_entropy_bits
    return arm.data if said is None else tuple((key, round(said[key], 6)) for key in sorted(said))


def _plain(arm: ArmSpec) -> bool:
    """Whether it differs from the main arm of its method in its size or data alone."""
    return not set(arm.at) - {"method", "size", "topics", "personas"}


def gaps(
    arms: Mapping[str, ArmSpec], values: Mapping[str, Mapping[str, float]]
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, str]]]:
    """Of each arm after SFT, at one seed: ``gap.topic`` and so on, also of plug-in entropies; and
    why that of some is withheld.

    :param values: measures of the arms of the seed.
    """
    found: dict[str, dict[str, float]] = {}
    withheld: dict[str, dict[str, str]] = {}
    for name, of_arm in values.items():
        if arms[name].is_base:
            continue
        base, sft = (values.get(one or "") for one in references(arms, arms[name]))
        if base is None or sft is None:
            continue
        for suffix in ("", "_plug_in"):
            for of in _OF:
                key = f"entropy.{of}{suffix}"
                if not (key in of_arm and key in base and key in sft):
                    continue
                gap = base[key] - sft[key]
                if gap < LEAST_GAP:
                    continue
                told = f"gap.{of}{suffix}"
                if (style := of_arm.get("style", 1.0)) < LEAST_STYLE:
                    withheld.setdefault(name, {})[told] = f"style {style:.2f}"
                else:
                    found.setdefault(name, {})[told] = (of_arm[key] - sft[key]) / gap
    return found, withheld
