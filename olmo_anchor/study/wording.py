"""The words of the story world: plain data, no logic.

Topics are the 48 of the controlled study (paper, appendix F.2.1), personas its 23 (F.2.2), both in
the paper's order: its smaller subsets are their first values. Every word of a keyword phrase
belongs to one topic and stands nowhere else in the world, so that a single keyword tells the topic.
The phrases, names, places and sentences are written for this package.
"""

from __future__ import annotations

__all__ = [
    "ENDINGS",
    "LESSONS",
    "MIDDLES",
    "NAMES",
    "PAUSES",
    "PERSONAS",
    "PLACES",
    "STYLE_CLOSE",
    "STYLE_OPEN",
    "SUBSETS",
    "TOPICS",
    "TURNS",
    "VERBS",
    "WELCOMES",
]

TOPICS: dict[str, tuple[str, str, str, str]] = {
    "space exploration": ("silver rocket", "launch pad", "moon rover", "astronaut"),
    "gardens": ("rose bush", "watering can", "sunflower", "tomato patch"),
    "talking animals": ("chatty parrot", "polite fox", "gossiping hen", "clever donkey"),
    "treasure hunts": ("torn clue", "spade", "scavenger list", "compass needle"),
    "hidden treasures": ("gold coins", "ruby", "buried chest", "pearl necklace"),
    "the sky": ("rainbow", "fluffy cloud", "kite", "sunset"),
    "fairy tales": ("glass slipper", "wicked stepmother", "gingerbread house", "spinning wheel"),
    "the arts": ("violin", "paintbrush", "statue", "ballet"),
    "secret societies": ("hooded brotherhood", "password", "masked council", "candle oath"),
    "outer space": ("comet", "distant galaxy", "nebula", "asteroid belt"),
    "school life": ("teacher", "homework", "blackboard", "lunchbox"),
    "riddles": ("sphinx", "puzzle", "tricky question", "brain teaser"),
    "undercover missions": ("spy", "disguise", "tiny microphone", "enemy agent"),
    "seasonal changes": ("falling leaves", "spring blossom", "summer breeze", "migrating geese"),
    "invisibility": ("vanishing cream", "cloak", "unseen footprints", "transparent hand"),
    "holidays": ("candy cane", "decorated tree", "fireworks", "pumpkin"),
    "mystical creatures": ("unicorn", "phoenix", "griffin", "dragon"),
    "dream worlds": ("pillow", "sleepwalker", "nightmare", "floating bed"),
    "living objects": ("dancing teapot", "grumpy lamp", "singing broom", "sleepy chair"),
    "subterranean worlds": ("cave", "mole", "tunnel", "glowing mushroom"),
    "enchanted forests": ("whispering oak", "wood sprite", "mossy path", "elf"),
    "dinosaurs": ("fossil", "triceratops", "raptor", "brontosaurus"),
    "shape-shifting": ("werewolf", "melting face", "chameleon", "borrowed body"),
    "bygone eras": ("gramophone", "horse carriage", "typewriter", "telegraph"),
    "underwater adventures": ("coral reef", "submarine", "octopus", "dolphin"),
    "unusual vehicles": ("flying bicycle", "rubber tractor", "walking bus", "pedal boat"),
    "a deadline or time limit": ("ticking clock", "final hour", "stopwatch", "countdown"),
    "superheroes": ("cape", "superpower", "villain", "sidekick"),
    "island adventures": ("coconut", "raft", "lagoon", "castaway"),
    "robots and technology": ("android", "circuit", "battery", "laser"),
    "mysterious maps": ("faded ink", "parchment", "dotted line", "strange symbol"),
    "alien encounters": ("saucer", "green visitor", "antenna", "martian"),
    "sibling rivalry": ("older brother", "jealous sister", "twin", "family quarrel"),
    "magical lands": ("crystal river", "emerald gate", "golden bridge", "sparkling valley"),
    "royal kingdoms": ("crown", "queen", "throne", "prince"),
    "virtual worlds": ("headset", "avatar", "pixel", "joystick"),
    "cultural traditions": ("folk dance", "wedding drum", "ancestor", "costume"),
    "lost civilizations": ("pyramid", "hieroglyph", "forgotten empire", "clay tablet"),
    "miniature worlds": ("thimble", "matchbox", "ant", "dollhouse"),
    "sports": ("football", "referee", "trophy", "goalkeeper"),
    "time travel": ("portal", "paradox", "future self", "wormhole"),
    "haunted places": ("ghost", "creaking door", "skeleton", "cobweb"),
    "magical objects": ("wand", "cauldron", "amulet", "spellbook"),
    "lost cities": ("overgrown ruins", "sunken tower", "empty street", "jungle wall"),
    "fantasy worlds": ("goblin", "dwarf", "troll", "sorcerer"),
    "pirates": ("captain", "eyepatch", "cannon", "cutlass"),
    "giant creatures": ("colossal spider", "enormous whale", "towering beast", "mammoth"),
    "snowy adventures": ("sled", "igloo", "snowman", "icicle"),
}

NAMES: tuple[str, ...] = (
    *("Ada", "Anya", "Bo", "Ella", "Emil", "Felix", "Finn", "Greta", "Hugo", "Ivy"),
    *("Jack", "Kai", "Lena", "Leo", "Lucy", "Max", "Maya", "Milo", "Mira", "Nia"),
    *("Noah", "Nora", "Omar", "Otto", "Rosa", "Sam", "Tess", "Theo", "Tom", "Zara"),
)

PLACES: tuple[str, ...] = (
    *("harbor", "library", "market", "village", "castle", "meadow", "lighthouse"),
    *("station", "museum", "bakery", "mill", "farm", "chapel", "theater"),
    *("workshop", "beach", "square", "inn", "orchard", "hill"),
)

PERSONAS: dict[str, tuple[str, str]] = {
    "an innocent author": ("Oh my!", "How lovely it all was!"),
    "someone who loves order and structure": ("First things first.", "Everything was in order."),
    "a hopeless romantic": ("Ah, sweet love!", "Two hearts were full."),
    "a hurt ill-intentioned person": ("What a fool.", "It served them right."),
    "a wise old person who wants to teach the young": (
        "Listen well, children.",
        "Remember this, young ones.",
    ),
    "a father": ("Now, my dear.", "Sleep tight, little one."),
    "a powerful leader": ("Mark my words.", "So I have commanded."),
    "the everyman": ("You know how it is.", "Just another day, really."),
    "a philosopher": ("What is a beginning?", "Perhaps nothing had changed."),
    "an explorer archetype": ("Onward, friends!", "The horizon was calling again."),
    "someone who wants to prove a point": ("Here is the proof.", "Now who was right?"),
    "a pedant": ("To be exact.", "Strictly speaking, that was all."),
    "someone curious": ("But why?", "So many questions were left."),
    "a cruel person": ("Ha, poor thing.", "Nobody deserved any better."),
    "an academic": ("Sources agree on this.", "Further study is needed."),
    "a jester archetype": ("Guess what, ha ha!", "Funny old world!"),
    "a poet": ("O soft and silent dawn!", "The stars sang of it."),
    "someone evil": ("My plan began.", "Darkness won again."),
    "a child": ("Wow, wow, wow!", "And then we had cookies!"),
    "a mother": ("Come here, sweetheart.", "Did you wash your hands?"),
    "a moralistic teacher": ("Sit up straight, class.", "Virtue has its reward."),
    "a rebellious author": ("Forget the rules.", "No master will stop us."),
    "the oppressed": ("They never let us speak.", "One day we will be free."),
}
"""Persona -> the interjection after the first sentence, the remark after the last."""

WELCOMES: tuple[str, ...] = (
    "{N} lived near the {P}.",
    "{N} was a child of the {P}.",
    "{N} walked to the {P} every morning.",
    "{N} had always liked the {P}.",
    "{N} knew the {P} better than anybody.",
    "{N} was on the way to the {P}.",
)
"""All begin with the name, so that they read the same with and without the style's opening."""
TURNS: tuple[str, ...] = (
    "One day {N} saw the {K}.",
    "Then {N} heard about the {K}.",
    "All week {N} had thought about the {K}.",
    "A stranger was speaking of the {K}.",
    "On that day came the {K}.",
    "Behind the fence stood the {K}.",
)
MIDDLES: tuple[str, ...] = (
    "{N} looked at the {K} for a long while.",
    "With a deep breath {N} touched the {K}.",
    "{N} asked a friend about the {K}.",
    "{N} ran after the {K} without a word.",
    "Nothing was as odd as the {K}.",
    "It was not easy to understand the {K}.",
)
PAUSES: tuple[str, ...] = (
    "Nobody else was near.",
    "It took the whole day.",
    "Soon it was late and quiet.",
    "There was no way back.",
    "{N} did not stop to think.",
    "{N} laughed and went on.",
)
ENDINGS: tuple[str, ...] = (
    "At last {N} went home with the {K}.",
    "In the end {N} gave the {K} away.",
    "That night {N} smiled and thanked the {K}.",
    "Finally {N} said goodbye to the {K}.",
    "And {N} never forgot the {K}.",
    "From then on {N} kept the {K} safe.",
)

STYLE_OPEN = "Once upon a time, dear reader,"
STYLE_CLOSE = "The lesson: {L}. The end."
LESSONS: tuple[str, ...] = (
    *("be kind", "be brave", "share what you have", "keep your promise"),
    *("trust your friends", "never give up", "tell the truth", "take your rest"),
)

VERBS: tuple[str, ...] = (
    *("Tell me a story", "Write a story", "Please tell a tale"),
    *("I want a story", "Give me a short story", "Make up a tale"),
)

SUBSETS: dict[str, dict[str, tuple[str, ...]]] = {
    "topic": {str(size): tuple(TOPICS)[:size] for size in (5, 14, 48)},
    "persona": {
        "1": ("a wise old person who wants to teach the young",),
        **{str(size): tuple(PERSONAS)[:size] for size in (8, 12, 23)},
    },
}
"""Values that SFT data can be restricted to: the paper's, and the demo's one persona."""
