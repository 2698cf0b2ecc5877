"""For a class: the tour, slides, answers, and an archive for laptops without a network."""
