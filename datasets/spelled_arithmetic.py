"""Arithmetic in words: a generated text with a language's unevenness, and something to understand.

    in the town martha had fifteen cheeses and broke eleven of them so martha has four cheeses left

Kinds of sentence, names, things and numbers come by Zipf's law, the k-th of them with a probability
of about 1/k: as in a language, some words are in every line and others hardly ever.  And to say
what comes next takes spelling, then grammar, then who and what the sentence was about, and in the
end the calculation.  In numbers, at the length of *The Time Machine*:

                                                  The Time Machine    this text
    entropy of a character, in nats                           2.83         2.73
        given the one before it                               2.27         1.97
        given the three before it                             1.37         0.71
        given the five before it                              0.79         0.50
    of all characters, the ten rarest kinds                   7.5%         5.2%
    of all words, the ten most frequent                        29%          41%
    different words                                          4,579          235

(Entropies from the counts of pairs, fours and sixes.  For long contexts they are too low: many
sixes occur only a few times.)
"""

from __future__ import annotations

import numpy as np

__all__ = ["in_words", "spelled_arithmetic"]


def _words(commas_between: str) -> list[str]:
    return commas_between.split(", ")


ONES = _words(
    "zero, one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, "
    "fourteen, fifteen, sixteen, seventeen, eighteen, nineteen"
)
TENS = _words("zero, ten, twenty, thirty, forty, fifty, sixty, seventy, eighty, ninety")

# The most frequent first.
PEOPLE = _words(
    "anna, the teacher, tom, ella, the old man, martha, henry, the farmer, leo, nina, the child, "
    "hannah, edwin, the merchant, clara, theo, the baker, oscar, lucy, the sailor, david, "
    "the queen, robert, the widow, emma, the judge, frank, the thief, ivan, the shepherd, grace, "
    "the wizard, victor, the captain, yvonne, the juggler, quentin, xavier, zachary"
)
THINGS = _words(
    "stone, apple, coin, letter, hen, tree, house, lantern, nail, horse, candle, egg, goat, brick, "
    "wheel, plate, needle, hat, onion, rose, kettle, basket, rabbit, feather, barrel, ladder, "
    "pigeon, button, cheese, melon, window, violin, cloak, turnip, hammer, walnut, pebble, mirror, "
    "puppet, jewel, dragon, quilt, saxophone, zebra"
)
PLACES = _words(
    "house, garden, town, market, north, street, forest, harbor, kitchen, school, tower, church, "
    "meadow, valley, station, cellar, castle, village, museum, jungle, quarry, maze"
)
GAINED = _words("found, made, took, stole, bought, earned, borrowed, won, collected, acquired")
LOST = _words("gave away, lost, ate, broke, sold, hid, threw away, burned, forgot, juggled")
SO = _words("so, now, then, thus, at the end, hence, which is why")


def spelled_arithmetic(length: int, rng: np.random.Generator) -> str:
    """Return a text of that many characters, letters and single spaces.

    Parameters
    ----------
    length : int
        In characters; the last sentence is cut off there.
    rng : numpy.random.Generator
        Draws the words.

    Examples
    --------
    >>> spelled_arithmetic(80, np.random.default_rng(0))
    'what is eighteen and three asked anna it is twenty one the merchant said to anna'
    """
    sentences: list[str] = []
    missing = length
    while missing > 0:
        sentences.append(_sentence(rng))
        missing -= len(sentences[-1]) + 1
    return " ".join(sentences)[:length]


def in_words(n: int) -> str:
    """Return a number from 0 to 999,999 in words.

    Examples
    --------
    >>> in_words(40), in_words(217), in_words(9001)
    ('forty', 'two hundred and seventeen', 'nine thousand and one')
    """
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10] + (f" {ONES[n % 10]}" if n % 10 else "")
    size, name = (1000, "thousand") if n >= 1000 else (100, "hundred")
    rest = n % size
    link = "" if rest == 0 else " " if rest >= 100 else " and "
    return f"{in_words(n // size)} {name}{link}{in_words(rest) if rest else ''}"


def _zipf(n: int, rng: np.random.Generator) -> int:
    """Draw a number k from 1 to n with probability log(1 + 1/k) / log(n + 1), about 1/k."""
    return int((n + 1) ** rng.random())


def _sentence(rng: np.random.Generator) -> str:
    def one_of(words: list[str]) -> str:
        return words[_zipf(len(words), rng) - 1]

    a, b = _zipf(99, rng), _zipf(99, rng)
    who, thing, place, so = map(one_of, (PEOPLE, THINGS, PLACES, SO))

    def things(n: int) -> str:
        return f"{in_words(n)} {thing}" + ("s" if n != 1 else "")

    match _zipf(9, rng):
        case 1:
            return (
                f"in the {place} {who} had {things(a)} and {one_of(GAINED)} {in_words(b)} more "
                f"{so} {who} has {things(a + b)} in the {place}"
            )
        case 2:
            return (
                f"{who} had {things(a + b)} and {one_of(LOST)} {in_words(a)} of them "
                f"{so} {who} has {things(b)} left"
            )
        case 3:
            return f"the sum of {in_words(a)} and {in_words(b)} is {in_words(a + b)}"
        case 4:
            other = one_of(PEOPLE)
            return (
                f"what is {in_words(a)} and {in_words(b)} asked {who} "
                f"it is {in_words(a + b)} {other} said to {who}"
            )
        case 5:
            return f"half of the {things(2 * a)} of {who} is {things(a)}"
        case 6:
            return f"the product of {in_words(a)} and {in_words(b)} is {in_words(a * b)}"
        case 7:
            return f"after {in_words(a)} comes {in_words(a + 1)} and before it {in_words(a - 1)}"
        case 8:
            return f"the square of {in_words(a)} is {in_words(a * a)}"
        case _:
            rest = f"with a rest of {in_words(a % b)}" if a % b else "exactly"
            return f"divide {in_words(a)} by {in_words(b)} to get {in_words(a // b)} {rest}"
