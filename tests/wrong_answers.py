"""What a student may well write, by exercise and stub: a part of the message that says what is
wrong, and the answer that provokes it."""

SCALED = "m = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))\n"
HALVES = """i = np.random.default_rng(seed).permutation(len(z))
f, t = i[: len(z) // 2], i[len(z) // 2 :]
"""
HYBRID = "logits = model.C(model.encode_s(model.D(z_s, z_r[partner])))\n"
MOVED = "return 'up' if {} else 'down' if {} else 'same'"
ITS_OWN = """a = score_function(model, torch.cat([image, neighbours_a]))[0]
b = score_function(model, torch.cat([image, neighbours_b]))[0]
"""
UNTOUCHED = """from ygan_core.model import running_statistics_untouched
with running_statistics_untouched(model):
    """

WRONG: dict[str, list[dict[str, str]]] = {}
WRONG["ex1_gradient_reversal"] = [
    {
        "forward has changed z": "ctx.lambda_R = lambda_R\nreturn -lambda_R * z",
        "forward returns nothing": "ctx.lambda_R = lambda_R",
        "what forward should have kept": "return z.view_as(z)",
        "lambda_R is missing": "ctx.lambda_R = 1.0\nreturn z.view_as(z)",
        "the sign": "ctx.lambda_R = -lambda_R\nreturn z.view_as(z)",
        "save_for_backward is for tensors": "ctx.save_for_backward(lambda_R)\nreturn z.view_as(z)",
    },
    {
        "the sign": "return ctx.lambda_R * gradient, None",
        "lambda_R is missing": "return -gradient, None",
        "both sign and lambda_R": "return gradient, None",
        "one value for each input": "return -ctx.lambda_R * gradient",
        "lambda_R's is None": "return -ctx.lambda_R * gradient, gradient.sum()",
        "or a fixed number": "return -0.3 * gradient, None",
        "overwritten": "return gradient.mul_(-ctx.lambda_R), None",
        "expected -lambda_R times": "return -gradient / (ctx.lambda_R + 1e-9), None",
    },
    {
        "R stands behind C": "return F.cross_entropy(R(C(z_r), lambda_R), y)",
        "a minus before the loss": "return -F.cross_entropy(C(z_r), y)",
        "unreversed": "return F.cross_entropy(C(z_r), y)",
        "E_r learns nothing": "return F.cross_entropy(C(R(z_r.detach(), lambda_R)), y)",
        "twice": "return F.cross_entropy(C(R(R(z_r, lambda_R), lambda_R)), y)",
        "-lambda_R times": "return F.cross_entropy(C(R(z_r, 1.0)), y)",
        "as if R were not there": "return lambda_R * F.cross_entropy(C(R(z_r, 1.0)), y)",
        "one number": "return F.cross_entropy(C(R(z_r, lambda_R)), y, reduction='none')",
        "are swapped": "return F.cross_entropy(y, C(R(z_r, lambda_R)))",
        "a softmax of its own": "return F.cross_entropy(C(R(z_r, lambda_R)).softmax(1), y)",
    },
]
WRONG["ex2_consistency_loss"] = [
    {
        "the sign": "return F.cosine_similarity(z_s, z_s_hybrid, dim=1).mean()",
        "is dim the dimension of d": "return -F.cosine_similarity(z_s, z_s_hybrid, dim=0).mean()",
        "take the mean": "return -F.cosine_similarity(z_s, z_s_hybrid, dim=1).sum()",
        "1 - cos": "return 1 - F.cosine_similarity(z_s, z_s_hybrid, dim=1).mean()",
        "no absolute value": "return -F.cosine_similarity(z_s, z_s_hybrid, dim=1).abs().mean()",
        "-1 at its best": "return (z_s - z_s_hybrid).square().mean()",
        "not of the dot product": "return -(z_s * z_s_hybrid).sum(1).mean()",
        ".item() would cut": "return -F.cosine_similarity(z_s, z_s_hybrid, dim=1).mean().item()",
        "a mean of rows": "return -F.cosine_similarity(z_s.flatten(), z_s_hybrid.flatten(), dim=0)",
    },
    {
        "no permutation": "return L_con(z_s, E_s(D(z_s, z_r)))",
        "z_s was permuted": "return L_con(z_s, E_s(D(z_s[partner], z_r)))",
        "changed places": "return L_con(z_s, E_s(D(z_r[partner], z_s)))",
        "not drawn anew": "return L_con(z_s, E_s(D(z_s, z_r[torch.randperm(6)])))",
        "D was never asked": "return L_con(z_s, E_s(torch.cat([z_s, z_r[partner]], 1)))",
        "D learns nothing": "return L_con(z_s, E_s(D(z_s, z_r[partner]).detach()))",
        "E_r learns nothing": "return L_con(z_s, E_s(D(z_s, z_r[partner].detach())))",
        "direct route": "return L_con(z_s.detach(), E_s(D(z_s, z_r[partner])))",
        "second route": "return L_con(z_s, E_s(D(z_s.detach(), z_r[partner])))",
        "turned once more": "return -L_con(z_s, E_s(D(z_s, z_r[partner])))",
        "image by image": "return L_con(z_s[partner], E_s(D(z_s, z_r[partner])))",
        "nothing learns": "with torch.no_grad():\n    return L_con(z_s, E_s(D(z_s, z_r[partner])))",
    },
]
WRONG["ex3_leave_it_out"] = [
    {
        "a dict": "prediction = ['down', 'down', 'up', 'same']",
        "no more and no fewer": "prediction = {'AUC': 'down'}",
        "able to be wrong": (
            "asked = ['cosine', 'hybrid class', 'colour in z_s', 'AUC']\n"
            "prediction = dict.fromkeys(asked, 'maybe')"
        ),
    },
    {
        "L_r": "without_L_con = replace(with_L_con, lambda_4=0.0)",
        "ramp_con": "without_L_con = replace(with_L_con, ramp_con=False)",
        "more than one thing": "without_L_con = replace(with_L_con, lambda_5=0.0, seed=1)",
        "altogether": "without_L_con = replace(with_L_con, lambda_5=0.1)",
        "nothing was changed": "replace(with_L_con, lambda_5=0.0)\nwithout_L_con = with_L_con",
    },
    {
        "were the z_r exchanged": (
            HYBRID.replace("[partner]", "") + "return (logits.argmax(1) == y).float().mean().item()"
        ),
        "was the hybrid encoded": "return (model.C(z_s).argmax(1) == y).float().mean().item()",
        "partner's class was counted": HYBRID
        + "return (logits.argmax(1) == y[partner]).float().mean().item()",
        "return the share": HYBRID + "return (logits.argmax(1) == y).float().sum().item()",
        "not Tensor": HYBRID + "return (logits.argmax(1) == y).float().mean()",
        "have changed places": (
            "logits = model.C(model.encode_s(model.D(z_r[partner], z_s)))\n"
            "return (logits.argmax(1) == y).float().mean().item()"
        ),
    },
    {
        "the lists overlap": "return 'up' if sum(values_without) > sum(values_with) else 'down'",
        "other way round": (
            MOVED.format(
                "max(values_without) < min(values_with)", "min(values_without) > max(values_with)"
            )
        ),
        "do not overlap here": "return 'same'",
        "overlap": "return 'up' if max(values_without) > max(values_with) else 'same'",
        "return up, down or same": "return min(values_without) > max(values_with)",
    },
]
WRONG["ex4_what_leaks"] = [
    {
        "tested on rows": SCALED + "return m.fit(z, y).score(z, y)",
        "come sorted": SCALED + "h = len(z) // 2\nreturn m.fit(z[:h], y[:h]).score(z[h:], y[h:])",
        "same spread": HALVES
        + "return LogisticRegression(max_iter=1000).fit(z[f], y[f]).score(z[t], y[t])",
        "a number": HALVES + SCALED + "return m.fit(z[f], y[f]).predict(z[t])",
    },
    {
        "no normal image is a 0": "chance = {'digit': 1 / 10, 'colour': 1 / 10}",
        "ten colours": "chance = {'digit': 1 / 9, 'colour': 1 / 9}",
        "a share": "chance = {'digit': 9, 'colour': 10}",
        "nine digits": "chance = {'digit': 0.5, 'colour': 0.5}",
        "chance =": "chance = {'digits': 1 / 9, 'colours': 1 / 10}",
    },
    {
        "belongs in z_r": "leak = ('paper-w32', 'colour', 'z_r')",
        "belongs in z_s": "leak = ('balanced', 'digit', 'z_s')",
        "that leaks too": "leak = ('balanced', 'digit', 'z_r')",
        "leak =": "leak = 'paper-w32'",
    },
]
WRONG["ex5_find_the_bug"] = [
    {
        "together with its neighbours": (
            "a = score_function(model, image)\n"
            "b = score_function(model, image)\n"
            "return (a - b).abs().item()"
        ),
        "absolute value": ITS_OWN + "return min(a - b, b - a).item()",
        "own two scores": ITS_OWN
        + "b = score_function(model, image)[0]\nreturn (a - b).abs().item()",
    },
    {
        "keep copies": (
            "before = model.state_dict()\n"
            "score_function(model, images)\n"
            "return [name for name, t in model.state_dict().items() if not t.equal(before[name])]"
        ),
        "return the list": "score_function(model, images)",
    },
    {
        "still writes to": "return score(model, images, batch_size)",
        "normalised by itself": "return score(model, images, 1)",
        "still depends on the batch": UNTOUCHED + "return score(model, images, batch_size)",
        "one score for each image": "model.eval()\nreturn score(model, images, batch_size).mean()",
    },
]
WRONG["ex6_best_epoch"] = [
    {
        "best minus last": "return (auc[:, -1] - auc.max(axis=1)).mean()",
        "take the mean": "return (auc.max(axis=1) - auc[:, -1]).sum()",
        "milder choice": "return auc.mean(axis=0).max() - auc[:, -1].mean()",
        "mean over epochs": "return auc.max(axis=1).mean() - auc.mean()",
        "each row has its own best": "return auc.max() - auc[:, -1].mean()",
        "the best of a row is along axis=1": "return (auc.max(axis=0) - auc[:, -1]).mean()",
    },
    {
        "the gain on A": "return gain_of_best(auc_a)",
        "chosen on B": "return gain_of_best(auc_b)",
        "both must be of B": "return (auc_a.max(axis=1) - auc_b[:, -1]).mean()",
        "compare B with B": (
            "i = auc_a.argmax(axis=1)\n"
            "return (auc_b[np.arange(len(auc_b)), i] - auc_a[:, -1]).mean()"
        ),
        "takes whole columns": (
            "i = auc_a.argmax(axis=1)\nreturn (auc_b[:, i] - auc_b[:, -1]).mean()"
        ),
        "the best of a row is along axis=1": (
            "i = auc_a.argmax(axis=0)\n"
            "return (auc_b[np.arange(len(auc_b)), i] - auc_b[:, -1]).mean()"
        ),
    },
    {
        "needs anomalies": "return gain_of_best(auc)",
        "a gain in accuracy": "return gain_of_best(accuracy)",
        "the other way round": "return gain_elsewhere(auc, accuracy)",
    },
]
