"""What messages say: the facts that they may tell, the built-in texts in each language, and how texts are filled in.

Pure, and without the operator's dependencies: the kubectl plugin shows with it what would be sent.
"""
