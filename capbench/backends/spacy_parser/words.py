"""Word lists of the rules, for where the meaning is in the word and not in the grammar (docs/parsers.md)."""

from __future__ import annotations


def listed(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


NUMBERS = {
    "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8",
    "nine": "9", "ten": "10", "eleven": "11", "twelve": "12", "dozen": "12",
}  # fmt: skip

# NOUN of things: the things are what is seen
COLLECTIVES = listed(
    "array assortment bunch collection couple crowd dozen flock herd kind line lot number pack pair patch row school "
    "selection series set sort team type variety"
)
GROUPS = frozenset(("group",))
PORTIONS = listed("chunk corner half part piece portion section slice")
UNSAID_PORTIONS = frozenset(("half", "portion", "section"))
CONTAINERS = listed(
    "bag basket bin bottle bowl box bucket can cart carton case container crate cup glass jar mug pack plate pot tray "
    "vase"
)
PICTURES = listed(
    "close-up closeup drawing image painting photo photograph picture portrait reflection shot statue view"
)

# parts of space: "on the side of the road" is one relation to the road
PLACES = listed("back base bottom center centre corner edge end front left middle rear right side top")

CLOTHES = listed(
    "apron attire beanie blouse boot bra cap clothes clothing coat costume dress glasses glove gown gear goggles hat "
    "headband helmet hood hoodie jacket jean jeans jersey kimono necklace outfit overalls pajamas pants polo robe "
    "sandal scarf shirt shoe short shorts skirt slacks sleeve sneaker sock suit sunglasses sweater sweatshirt swimsuit "
    "t-shirt tank tie tights top trouser trousers trunks tutu tux tuxedo underwear uniform vest wetsuit"
)
BODY = listed(
    "arm back beak body chest ear elbow eye face feather finger foot fur hair hand head hoof knee leg mane mouth "
    "neck nose paw shoulder tail tongue tooth trunk waist wing wrist"
)

# a noun before a noun that says what the other is made of or looks like
MATERIALS = listed(
    "aluminum bamboo brass brick bronze cardboard cement ceramic chrome clay cloth concrete copper cotton denim "
    "fabric fur glass gold granite iron leather marble metal nylon paper plaid plastic porcelain rubber satin silk "
    "silver steel stone straw suede tile tin velvet wicker wire wood wool"
)
SHADES = listed("bright dark deep faded light medium pale")
COLOURS = listed(
    "beige black blond blonde blue bronze brown burgundy copper cream crimson gold golden gray green grey ivory "
    "lavender magenta maroon navy orange pink purple red rose scarlet silver tan teal turquoise violet white yellow "
    "colored coloured"
)
UNSAID = listed(
    "all another any both certain each enough every few least less many more most much numerous other own same "
    "several some such various"
)

PEOPLE = {
    "anybody": "person", "anyone": "person", "everybody": "person", "everyone": "person", "somebody": "person",
    "someone": "person",
}  # fmt: skip
PRONOUNS = listed("it them him her itself themselves himself herself he she they")
OWNERS = listed("his her hers its their theirs")

VERBS = {"lie": "lay", "seat": "sit", "dress": "wear", "stuff": "fill"}
PREPOSITIONS = {
    "underneath": "under", "beneath": "under", "below": "under", "onto": "on", "upon": "on", "toward": "towards",
    "amongst": "among", "atop": "on top of", "w/": "with", "infront": "in front of", "aboard": "on",
    "ontop": "on top of", "within": "in",
}  # fmt: skip
COVERING = listed("cover decorate line surround top")
TAKES_PLACE_OF = frozenset(("in", "with", "by"))
UNSAID_PARTICLES = listed("down around together up over away off")
PLURALS = listed(
    "binoculars clothes eyeglasses glasses goggles headphones jeans leggings pajamas pants scissors shorts sunglasses "
    "tights tongs trousers tweezers"
)  # one thing each
ING_NOUNS = listed(
    "awning building ceiling clothing covering crossing icing landing lettering marking opening painting railing ring "
    "siding string thing wedding wing writing"
)
COVERED = listed("covered filled lined topped")
WAYS = listed("across along around down in off on over past through up")
FIXED = frozenset(
    (
        ("dining", "room"),
        ("dining", "table"),
        ("french", "fry"),
        ("fire", "hydrant"),
        ("high", "chair"),
        ("hot", "dog"),
        ("living", "room"),
        ("paper", "towel"),
        ("polar", "bear"),
        ("pony", "tail"),
        ("remote", "control"),
        ("rocking", "chair"),
        ("washing", "machine"),
    )
)  # an adjective and a noun that are one thing
SPELLINGS = {"cell phone": "cellphone", "suit case": "suitcase", "t shirt": "t-shirt", "tee shirt": "t-shirt"}
NO_THINGS = listed("one ones other others each another rest thing")
RELATIVES = frozenset(("that", "which", "who", "whom"))
SOME_OF = listed("all both each few many most none one several some three two")  # "of" the things
