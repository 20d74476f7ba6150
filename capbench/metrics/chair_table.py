"""The words that stand for each of the 80 object classes of COCO, as Rohrbach et al. (2018) list them.

Facts from ``data/synonyms.txt`` and ``utils/chair.py`` of LisaAnne/Hallucination (BSD-2-Clause), in a form of our
own: the first word of a class is its name in COCO. Misspelt words are the authors'; captions have them too.
"""

from __future__ import annotations

from collections.abc import Mapping

CLASSES: Mapping[str, str] = {
    "person": (
        "girl, boy, man, woman, kid, child, chef, baker, people, adult, rider, children, baby, worker, passenger, "
        "sister, biker, policeman, cop, officer, lady, cowboy, bride, groom, male, female, guy, traveler, mother, "
        "father, gentleman, pitcher, player, skier, snowboarder, skater, skateboarder, foreigner, caller, offender, "
        "coworker, trespasser, patient, politician, soldier, grandchild, serviceman, walker, drinker, doctor, "
        "bicyclist, thief, buyer, teenager, student, camper, driver, solider, hunter, shopper, villager"
    ),
    "bicycle": "bike, unicycle, minibike, trike",
    "car": "automobile, van, minivan, sedan, suv, hatchback, cab, jeep, coupe, taxicab, limo, taxi",
    "motorcycle": "scooter, motor bike, motor cycle, motorbike, moped",
    "airplane": "jetliner, plane, air plane, monoplane, aircraft, jet, airbus, biplane, seaplane",
    "bus": "minibus, trolley",
    "train": "locomotive, tramway, caboose",
    "truck": "pickup, lorry, hauler, firetruck",
    "boat": (
        "ship, liner, sailboat, motorboat, dinghy, powerboat, speedboat, canoe, skiff, yacht, kayak, catamaran, "
        "pontoon, houseboat, vessel, rowboat, trawler, ferryboat, watercraft, tugboat, schooner, barge, ferry, "
        "sailboard, paddleboat, lifeboat, freighter, steamboat, riverboat, battleship, steamship"
    ),
    "traffic light": "street light, traffic signal, stop light, streetlight, stoplight",
    "fire hydrant": "hydrant",
    "stop sign": "",
    "parking meter": "",
    "bench": "pew",
    "bird": (
        "ostrich, owl, seagull, goose, duck, parakeet, falcon, robin, pelican, waterfowl, heron, hummingbird, "
        "mallard, finch, pigeon, sparrow, seabird, osprey, blackbird, fowl, shorebird, woodpecker, egret, chickadee, "
        "quail, bluebird, kingfisher, buzzard, willet, gull, swan, bluejay, flamingo, cormorant, parrot, loon, "
        "gosling, waterbird, pheasant, rooster, sandpiper, crow, raven, turkey, oriole, cowbird, warbler, magpie, "
        "peacock, cockatiel, lorikeet, puffin, vulture, condor, macaw, peafowl, cockatoo, songbird"
    ),
    "cat": "kitten, feline, tabby",
    "dog": (
        "puppy, beagle, pup, chihuahua, schnauzer, dachshund, rottweiler, canine, pitbull, collie, pug, terrier, "
        "poodle, labrador, doggie, doberman, mutt, doggy, spaniel, bulldog, sheepdog, weimaraner, corgi, cocker, "
        "greyhound, retriever, brindle, hound, whippet, husky"
    ),
    "horse": (
        "colt, pony, racehorse, stallion, equine, mare, foal, palomino, mustang, clydesdale, bronc, bronco"
    ),
    "sheep": "lamb, ram, goat, ewe",
    "cow": "cattle, oxen, ox, calf, holstein, heifer, buffalo, bull, zebu, bison",
    "elephant": "",
    "bear": "panda",
    "zebra": "",
    "giraffe": "",
    "backpack": "knapsack",
    "umbrella": "",
    "handbag": "wallet, purse, briefcase",
    "tie": "bow, bow tie",
    "suitcase": "suit case, luggage",
    "frisbee": "",
    "skis": "ski",
    "snowboard": "",
    "sports ball": "ball",
    "kite": "",
    "baseball bat": "",
    "baseball glove": "",
    "skateboard": "",
    "surfboard": "longboard, skimboard, shortboard, wakeboard",
    "tennis racket": "racket",
    "bottle": "",
    "wine glass": "",
    "cup": "",
    "fork": "",
    "knife": "pocketknife, knive",
    "spoon": "",
    "bowl": "container",
    "banana": "",
    "apple": "",
    "sandwich": "burger, sub, cheeseburger, hamburger",
    "orange": "",
    "broccoli": "",
    "carrot": "",
    "hot dog": "",
    "pizza": "",
    "donut": "doughnut, bagel",
    "cake": "cheesecake, cupcake, shortcake, coffeecake, pancake",
    "chair": "seat, stool",
    "couch": "sofa, recliner, futon, loveseat, settee, chesterfield",
    "potted plant": "houseplant",
    "bed": "",
    "dining table": "table, desk",
    "toilet": "urinal, commode, lavatory, potty",
    "tv": "monitor, televison, television",
    "laptop": "computer, notebook, netbook, lenovo, macbook, laptop computer",
    "mouse": "",
    "remote": "",
    "keyboard": "",
    "cell phone": "mobile phone, phone, cellphone, telephone, phon, smartphone, iphone",
    "microwave": "",
    "oven": "stovetop, stove, stove top oven",
    "toaster": "",
    "sink": "",
    "refrigerator": "fridge, freezer",
    "book": "",
    "clock": "",
    "vase": "",
    "scissors": "",
    "teddy bear": "teddybear",
    "hair drier": "hairdryer",
    "toothbrush": "",
}  # fmt: skip

VOCABULARY: Mapping[str, str] = {
    word: name for name, words in CLASSES.items() for word in (name, *filter(None, words.split(", ")))
}

# Words that never come up in the authors' program: two stand in their file with a blank in front, one with a
# capital letter, and captions are lower-cased.
NEVER_FOUND = frozenset({"motor bike", "cheesecake", "iphone"})

# What goes together, and the word that it then is ("baby" and "passenger" are people otherwise, and
# "train" in "train track" is a train); what is no word of a class after that is no object.
ANIMALS = (
    "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "animal", "cub",
)  # fmt: skip
PHRASES: Mapping[str, str] = {
    **{word: word for word in VOCABULARY if " " in word},
    **{f"{age} {animal}": animal for age in ("baby", "adult") for animal in ANIMALS},
    "passenger jet": "jet",
    "passenger train": "train",
    "toilet seat": "toilet",
    "home plate": "home plate",
    "train track": "train track",
}
