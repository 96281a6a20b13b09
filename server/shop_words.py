"""The words from which the sample shop's names and texts are put together.

What this file does not do: anything; `shop.py` picks from these.
"""

#: Departments and the things in their sections, each with a regular plural.
DEPARTMENTS = {
    "Kitchen": "kettle pan mug bowl tray kitchen_scale",
    "Home": "lamp rug cushion clock curtain mirror",
    "Garden": "spade planter hose rake birdhouse",
    "Office": "desk chair notebook pen file_holder",
    "Outdoors": "tent backpack lantern bottle hammock",
    "Play": "puzzle board_game kite marble_run",
}
ADJECTIVES = (
    "classic compact folding heavy light little modern northern plain quiet round rustic slim "
    "small soft solid sturdy tall travel wide"
).split()
MATERIALS = (
    "ash bamboo beech brass canvas ceramic copper cork cotton enamel felt glass hemp iron leather "
    "linen oak slate steel walnut wool"
).split()
SERIES = "Alba Bruno Corvo Duna Elm Fjord Grove Haven Isla Juno Kite Lumen Moss Nord Onda".split()
FIRST_NAMES = (
    "Ada Amara André Ben Björn Chloé Daniel Elena Emeka Fatima Grace Hana Hugo Ines Ivan Jamal "
    "José Kenji Lars Leïla Lina Łukasz Maria Mei Noah Nora Olga Omar Priya Quinn Rosa Sam Søren "
    "Tara Tomás Uma Victor Wei Yara Zoë"
).split()
LAST_NAMES = (
    "Adeyemi Ahmed Andersen Bauer Brown Chen Costa Dubois Eriksen Fischer García Haddad Ivanova "
    "Jensen Kaya Kim Kowalski Larsson Martin Mbeki Meyer Müller Nakamura Nguyen Novák O'Brien "
    "Okafor Patel Peeters Petrov Rossi Sato Schmidt Silva Singh Smith Tanaka Varga Walker Wójcik"
).split()
MAIL_DOMAINS = ("example.com", "example.net", "example.org")
CITIES = (
    "Accra Athens Bergen Bogotá Boston Cork Dakar Delhi Ghent Graz Hanoi Izmir Kraków Kyoto Lagos "
    "Leeds Lima Lyon Malmö Nairobi Oslo Porto Quito Riga Seoul Turin Utrecht Vilnius Zürich"
).split()
SENTENCES = (
    "Made to be used every day and to look good doing it.",
    "Comes in a box that needs no scissors.",
    "Wipe clean with a damp cloth.",
    "A favourite of our customers for years.",
    "Packed by hand in small numbers.",
    "Fits where others do not.",
    "Spare parts are available for ten years.",
    "Tested by people who break things for a living.",
)
PRAISE = (
    "Just what I was looking for.",
    "Better than the picture.",
    "Bought a second one for my sister.",
    "Arrived a day early.",
    "Still like new after a year.",
)
COMPLAINTS = (
    "Smaller than I thought.",
    "The colour is not that of the picture.",
    "Arrived late and dented.",
    "Sent it back.",
    "It does what it says, but no more.",
)
