"""Word lists of the rules: what English says with these words is not what its grammar says. docs/parsers.md tells why."""

from __future__ import annotations

NUMBERS = {
    "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8",
    "nine": "9", "ten": "10", "eleven": "11", "twelve": "12", "dozen": "12",
}  # fmt: skip

# NOUN of things: the things are what is seen
COLLECTIVES = frozenset(
    "array assortment bunch collection couple crowd dozen flock herd kind line lot number pack pair patch row school "
    "selection series set sort team type variety".split()
)
GROUPS = frozenset(("group",))
PORTIONS = frozenset("chunk corner half part piece portion section slice".split())
UNSAID_PORTIONS = frozenset(("half", "portion", "section"))
CONTAINERS = frozenset(
    "bag basket bin bottle bowl box bucket can cart carton case container crate cup glass jar mug pack plate pot tray "
    "vase".split()
)
PICTURES = frozenset(
    "close-up closeup drawing image painting photo photograph picture portrait reflection shot statue view".split()
)

# parts of space: "on the side of the road" is one relation to the road
PLACES = frozenset(
    "back base bottom center centre corner edge end front left middle rear right side top".split()
)

CLOTHES = frozenset(
    "apron attire beanie blouse boot bra cap clothes clothing coat costume dress glasses glove gown gear goggles hat "
    "headband helmet hood hoodie jacket jean jeans jersey kimono necklace outfit overalls pajamas pants polo robe "
    "sandal scarf shirt shoe short shorts skirt slacks sleeve sneaker sock suit sunglasses sweater sweatshirt swimsuit "
    "t-shirt tank tie tights top trouser trousers trunks tutu tux tuxedo underwear uniform vest wetsuit".split()
)
BODY = frozenset(
    "arm back beak body chest ear elbow eye face feather finger foot fur hair hand head hoof knee leg mane mouth "
    "neck nose paw shoulder tail tongue tooth trunk waist wing wrist".split()
)

# a noun before a noun that says what the other is made of or looks like
MATERIALS = frozenset(
    "aluminum bamboo brass brick bronze cardboard cement ceramic chrome clay cloth concrete copper cotton denim "
    "fabric fur glass gold granite iron leather marble metal nylon paper plaid plastic porcelain rubber satin silk "
    "silver steel stone straw suede tile tin velvet wicker wire wood wool".split()
)
SHADES = frozenset("bright dark deep faded light medium pale".split())
COLOURS = frozenset(
    "beige black blond blonde blue bronze brown burgundy copper cream crimson gold golden gray green grey ivory "
    "lavender magenta maroon navy orange pink purple red rose scarlet silver tan teal turquoise violet white yellow "
    "colored coloured".split()
)
UNSAID = frozenset(
    "all another any both certain each enough every few least less many more most much numerous other own same "
    "several some such various".split()
)

PEOPLE = {
    "anybody": "person", "anyone": "person", "everybody": "person", "everyone": "person", "somebody": "person",
    "someone": "person",
}  # fmt: skip
PRONOUNS = frozenset("it them him her itself themselves himself herself he she they".split())
OWNERS = frozenset("his her hers its their theirs".split())

VERBS = {"lie": "lay", "seat": "sit", "dress": "wear", "stuff": "fill"}
PREPOSITIONS = {
    "underneath": "under", "beneath": "under", "below": "under", "onto": "on", "upon": "on", "toward": "towards",
    "amongst": "among", "atop": "on top of", "w/": "with", "infront": "in front of", "aboard": "on",
    "ontop": "on top of", "within": "in",
}  # fmt: skip
COVERING = frozenset("cover decorate line surround top".split())
TAKES_PLACE_OF = frozenset(("in", "with", "by"))
UNSAID_PARTICLES = frozenset("down around together up over away off".split())
PLURALS = frozenset(
    "binoculars clothes eyeglasses glasses goggles headphones jeans leggings pajamas pants scissors shorts sunglasses tights "
    "tongs trousers tweezers".split()
)  # one thing each
ING_NOUNS = frozenset(
    "awning building ceiling clothing covering crossing icing landing lettering marking opening painting railing ring "
    "siding string thing wedding wing writing".split()
)
COVERED = frozenset("covered filled lined topped".split())
WAYS = frozenset("across along around down in off on over past through up".split())
FIXED = frozenset((
    ("dining", "room"), ("dining", "table"), ("french", "fry"), ("fire", "hydrant"), ("high", "chair"), ("hot", "dog"), ("living", "room"),
    ("paper", "towel"), ("polar", "bear"), ("pony", "tail"), ("remote", "control"), ("rocking", "chair"), ("washing", "machine"),
))  # an adjective and a noun that are one thing
SPELLINGS = {"cell phone": "cellphone", "suit case": "suitcase", "t shirt": "t-shirt", "tee shirt": "t-shirt"}
NO_THINGS = frozenset("one ones other others each another rest thing".split())
RELATIVES = frozenset(("that", "which", "who", "whom"))
SOME_OF = frozenset("all both each few many most none one several some three two".split())  # "of" the things
