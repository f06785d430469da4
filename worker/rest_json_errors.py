"""What is wrong with a JSON document, and where."""


class InvalidJson(ValueError):
    """A document that is no predict request, or a prediction that JSON cannot express.

    `place` is the path to the value at fault (`instances[3].image[0]`), empty for the document as a whole.
    """

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place or 'the document'}: {problem}")
        self.place = place
