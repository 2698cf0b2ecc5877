"""What Y-GAN costs on this machine: `python -m ygan_study benchmark`.

The runs of a table take turns, because other programs may slow the machine for a while. A ratio is
formed within a turn. What is printed is the median over the turns, with the lowest and the highest;
the file has every turn.
"""
