"""The ablations of section 6.2 (Table 5), as changes to the settings. Adding one is one line."""

ABLATIONS = {
    "A1": dict(lambda_5=0.0),  # without L_con
    "A2": dict(lambda_4=0.0),  # without L_r
    "A3": dict(lambda_4=0.0, lambda_5=0.0),  # without both
    "B1": dict(latents="split"),  # one encoder, whose latent of length 2d is cut in two
    "B2": dict(latents="single", lambda_4=0.0, lambda_5=0.0),  # one encoder, one latent of length d
    "B3": dict(  # B2 without C
        latents="single", lambda_3=0.0, lambda_4=0.0, lambda_5=0.0, score="s_x"
    ),
    "B4": dict(lambda_2=0.0, lambda_6=0.0),  # without Ds
}
VARIANTS = {
    "full": {},
    **ABLATIONS,
    "background_only": dict(pixels="background"),  # not the paper's; beside Table 4
}
