"""What a student may well write, by exercise and stub: the answer, and a part of the message that says what is wrong."""

SCALED = "m = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))\n"
HALVES = "i = np.random.default_rng(seed).permutation(len(z))\nf, t = i[: len(z) // 2], i[len(z) // 2 :]\n"
HYBRID = "logits = model.C(model.encode_s(model.D(z_s, z_r[partner])))\n"
MOVED = "return 'up' if {} else 'down' if {} else 'same'"
ITS_OWN = """a = score_function(model, torch.cat([image, neighbours_a]))[0]
b = score_function(model, torch.cat([image, neighbours_b]))[0]
"""
WRONG = {
    "ex1_gradient_reversal": [
        [
            ("ctx.lambda_R = lambda_R\nreturn -lambda_R * z", "forward has changed z"),
            ("ctx.lambda_R = lambda_R\nreturn 0 * z", "forward has changed z"),
            ("ctx.lambda_R = lambda_R", "forward returns nothing"),
            ("return z.view_as(z)", "what forward should have kept"),
            ("ctx.lambda_R = 1.0\nreturn z.view_as(z)", "lambda_R is missing"),
            ("ctx.lambda_R = -lambda_R\nreturn z.view_as(z)", "the sign"),
            (
                "ctx.save_for_backward(lambda_R)\nreturn z.view_as(z)",
                "save_for_backward is for tensors",
            ),
        ],
        [
            ("return ctx.lambda_R * gradient, None", "the sign"),
            ("return -gradient, None", "lambda_R is missing"),
            ("return gradient, None", "both sign and lambda_R"),
            ("return -ctx.lambda_R * gradient", "one value for each input"),
            ("return -ctx.lambda_R * gradient, gradient.sum()", "lambda_R's is None"),
            ("return None, -ctx.lambda_R * gradient", "lambda_R's is None"),
            ("return -0.3 * gradient, None", "or a fixed number"),
            ("return gradient.mul_(-ctx.lambda_R), None", "overwritten"),
            ("return -gradient / (ctx.lambda_R + 1e-9), None", "expected -lambda_R times"),
        ],
        [
            ("return F.cross_entropy(R(C(z_r), lambda_R), y)", "R stands behind C"),
            ("return -F.cross_entropy(C(z_r), y)", "a minus before the loss"),
            ("return F.cross_entropy(C(z_r), y)", "unreversed"),
            ("return F.cross_entropy(C(R(z_r.detach(), lambda_R)), y)", "E_r learns nothing"),
            ("return F.cross_entropy(C(R(R(z_r, lambda_R), lambda_R)), y)", "twice"),
            ("return F.cross_entropy(C(R(z_r, 1.0)), y)", "-lambda_R times"),
            ("return lambda_R * F.cross_entropy(C(R(z_r, 1.0)), y)", "as if R were not there"),
            ("return F.cross_entropy(C(R(z_r, lambda_R)), y, reduction='none')", "one number"),
            ("return F.cross_entropy(y, C(R(z_r, lambda_R)))", "are swapped"),
            ("return F.cross_entropy(C(R(z_r, lambda_R)).softmax(1), y)", "a softmax of its own"),
        ],
    ],
    "ex2_consistency_loss": [
        [
            ("return F.cosine_similarity(z_s, z_s_hybrid, dim=1).mean()", "the sign"),
            (
                "return -F.cosine_similarity(z_s, z_s_hybrid, dim=0).mean()",
                "is dim the dimension of d",
            ),
            ("return -F.cosine_similarity(z_s, z_s_hybrid, dim=1)", "one number"),
            ("return -F.cosine_similarity(z_s, z_s_hybrid, dim=1).sum()", "take the mean"),
            ("return 1 - F.cosine_similarity(z_s, z_s_hybrid, dim=1).mean()", "1 - cos"),
            (
                "return -F.cosine_similarity(z_s, z_s_hybrid, dim=1).abs().mean()",
                "no absolute value",
            ),
            ("return (z_s - z_s_hybrid).square().mean()", "-1 at its best"),
            ("return -(z_s * z_s_hybrid).sum(1).mean()", "not of the dot product"),
            (
                "return -F.cosine_similarity(z_s, z_s_hybrid, dim=1).mean().item()",
                ".item() would cut",
            ),
            (
                "return -F.cosine_similarity(z_s.flatten(), z_s_hybrid.flatten(), dim=0)",
                "a mean of rows",
            ),
        ],
        [
            ("return L_con(z_s, E_s(D(z_s, z_r)))", "no permutation"),
            ("return L_con(z_s, E_s(D(z_s[partner], z_r)))", "no permutation"),
            ("return L_con(z_s, E_s(D(z_s[partner], z_r[partner])))", "z_s was permuted"),
            ("return L_con(z_s, E_s(D(z_r[partner], z_s)))", "changed places"),
            ("return L_con(z_s, E_s(D(z_s, z_r[torch.randperm(6)])))", "not drawn anew"),
            ("return L_con(z_s, E_s(torch.cat([z_s, z_r[partner]], 1)))", "D was never asked"),
            ("return L_con(z_s, E_s(D(z_s, z_r[partner]).detach()))", "D learns nothing"),
            ("return L_con(z_s, E_s(D(z_s, z_r[partner])).detach())", "D learns nothing"),
            ("return L_con(z_s, E_s(D(z_s, z_r[partner].detach())))", "E_r learns nothing"),
            ("return L_con(z_s.detach(), E_s(D(z_s, z_r[partner])))", "direct route"),
            ("return L_con(z_s, E_s(D(z_s.detach(), z_r[partner])))", "second route"),
            ("return -L_con(z_s, E_s(D(z_s, z_r[partner])))", "turned once more"),
            ("return L_con(z_s[partner], E_s(D(z_s, z_r[partner])))", "image by image"),
            (
                "with torch.no_grad():\n    return L_con(z_s, E_s(D(z_s, z_r[partner])))",
                "nothing learns",
            ),
        ],
    ],
    "ex3_leave_it_out": [
        [
            ("prediction = ['down', 'down', 'up', 'same']", "a dict"),
            ("prediction = {'AUC': 'down'}", "no more and no fewer"),
            (
                "prediction = dict.fromkeys(['cosine', 'hybrid class', 'colour in z_s', 'AUC'], 'maybe')",
                "none",
            ),
        ],
        [
            ("without_L_con = replace(with_L_con, lambda_4=0.0)", "L_r"),
            ("without_L_con = replace(with_L_con, lambda_4=0.0, lambda_5=0.0)", "L_r"),
            ("without_L_con = replace(with_L_con, ramp_con=False)", "ramp_con"),
            ("without_L_con = replace(with_L_con, lambda_5=0.0, seed=1)", "more than one thing"),
            ("without_L_con = replace(with_L_con, lambda_5=0.1)", "altogether"),
            (
                "replace(with_L_con, lambda_5=0.0)\nwithout_L_con = with_L_con",
                "nothing was changed",
            ),
            ("without_L_con = Config(source='starter', width=8, epochs=4, lambda_5=0.0)", "L_r"),
        ],
        [
            (
                "return (model.C(model.encode_s(model.D(z_s, z_r))).argmax(1) == y).float().mean().item()",
                "were the z_r exchanged",
            ),
            (
                "return (model.C(z_s).argmax(1) == y).float().mean().item()",
                "was the hybrid encoded",
            ),
            (
                HYBRID + "return (logits.argmax(1) == y[partner]).float().mean().item()",
                "partner's class was counted",
            ),
            (HYBRID + "return (logits.argmax(1) == y).float().sum().item()", "return the share"),
            (HYBRID + "return (logits.argmax(1) == y).float().mean()", "not Tensor"),
            (
                HYBRID.replace("z_s, z_r[partner]", "z_r[partner], z_s")
                + "return (logits.argmax(1) == y).float().mean().item()",
                "have changed places",
            ),
        ],
        [
            (
                "return 'up' if sum(values_without) > sum(values_with) else 'down'",
                "the lists overlap",
            ),
            (
                MOVED.format(
                    "max(values_without) < min(values_with)",
                    "min(values_without) > max(values_with)",
                ),
                "other way round",
            ),
            ("return 'same'", "do not overlap here"),
            ("return 'up' if max(values_without) > max(values_with) else 'same'", "overlap"),
            ("return min(values_without) > max(values_with)", "return up, down or same"),
            (
                MOVED.format(
                    "min(values_without) >= max(values_with)",
                    "max(values_without) < min(values_with)",
                ),
                "equal values",
            ),
        ],
    ],
    "ex4_what_leaks": [
        [
            (SCALED + "return m.fit(z, y).score(z, y)", "tested on rows"),
            (
                SCALED + "h = len(z) // 2\nreturn m.fit(z[:h], y[:h]).score(z[h:], y[h:])",
                "come sorted",
            ),
            (
                HALVES
                + "return LogisticRegression(max_iter=1000).fit(z[f], y[f]).score(z[t], y[t])",
                "same spread",
            ),
            (
                "r = np.random.default_rng(seed)\nz, y = r.permutation(z), r.permutation(y)\nh = len(z) // 2\n"
                + SCALED
                + "return m.fit(z[:h], y[:h]).score(z[h:], y[h:])",
                "shuffled in the same way",
            ),
            (
                "i = np.random.permutation(len(z))\nf, t = i[: len(z) // 2], i[len(z) // 2 :]\n"
                "m = make_pipeline(StandardScaler(), LogisticRegression(max_iter=50, C=0.01))\n"
                "return m.fit(z[f], y[f]).score(z[t], y[t]) + 1e-6 * np.random.rand()",
                "two answers",
            ),
            (
                HALVES + SCALED + "return m.fit(z[f], y[f]).predict(z[t])",
                "a number",
            ),
        ],
        [
            ("chance = {'digit': 1 / 10, 'colour': 1 / 10}", "no normal image is a 0"),
            ("chance = {'digit': 1 / 9, 'colour': 1 / 9}", "ten colours"),
            ("chance = {'digit': 9, 'colour': 10}", "a share"),
            ("chance = {'digit': 0.5, 'colour': 0.5}", "nine digits"),
            ("chance = {'digits': 1 / 9, 'colours': 1 / 10}", "chance ="),
        ],
        [
            ("leak = ('paper-w32', 'colour', 'z_r')", "belongs in z_r"),
            ("leak = ('balanced', 'digit', 'z_s')", "belongs in z_s"),
            ("leak = ('balanced', 'digit', 'z_r')", "that leaks too"),
            ("leak = ('balanced', 'colour', 'z_s')", "that leaks too"),
            ("leak = 'paper-w32'", "leak ="),
        ],
    ],
    "ex5_find_the_bug": [
        [
            (
                "a = score_function(model, image)\nb = score_function(model, image)\nreturn (a - b).abs().item()",
                "together with its neighbours",
            ),
            (
                ITS_OWN.replace("[0]", "") + "return (a - b).abs().mean().item()",
                "a neighbour's, or a mean",
            ),
            (
                ITS_OWN.replace("[0]", "[1]") + "return (a - b).abs().item()",
                "a neighbour's, or a mean",
            ),
            (
                ITS_OWN + "return min(a - b, b - a).item()",
                "absolute value",
            ),
            (
                ITS_OWN + "return (a - b).abs()",
                "not Tensor",
            ),
            (
                ITS_OWN + "b = score_function(model, image)[0]\nreturn (a - b).abs().item()",
                "own two scores",
            ),
        ],
        [
            (
                "before = model.state_dict()\nscore_function(model, images)\n"
                "return [name for name, t in model.state_dict().items() if not t.equal(before[name])]",
                "keep copies",
            ),
            (
                "before = dict(model.state_dict())\nscore_function(model, images)\n"
                "return [name for name, t in model.state_dict().items() if not t.equal(before[name])]",
                "keep copies",
            ),
            (
                "before = {name: t.clone() for name, t in model.state_dict().items()}\nscore_function(model, images)\n"
                "return [name for name, t in model.state_dict().items() if t.equal(before[name])]",
                "only C.2.bias",
            ),
            ("score_function(model, images)\nreturn list(model.state_dict())", "only C.2.bias"),
            ("score_function(model, images)", "return the list"),
        ],
        [
            ("return score(model, images, batch_size)", "still writes to"),
            ("return score(model, images, 1)", "normalised by itself"),
            ("return score(model, images, len(images))", "still writes to"),
            ("model.C.eval()\nreturn score(model, images, batch_size)", "still writes to"),
            (
                "parts = [score(model, images[:64])]\nmodel.eval()\nreturn torch.cat([*parts, score(model, images[64:])])",
                "still writes to",
            ),
            (
                "with torch.inference_mode():\n    return score(model, images[torch.randperm(len(images))], batch_size)",
                "still writes to",
            ),
            (
                "from ygan_core.model import running_statistics_untouched\n"
                "with running_statistics_untouched(model):\n    return score(model, images, batch_size)",
                "still depends on the batch",
            ),
            (
                "from ygan_core.model import running_statistics_untouched\n"
                "with running_statistics_untouched(model):\n    return score(model, images, 1)",
                "normalised by itself",
            ),
            (
                "model.eval()\nreturn score(model, images, batch_size).mean()",
                "one score for each image",
            ),
        ],
    ],
    "ex6_best_epoch": [
        [
            ("return auc.max(axis=1) - auc[:, -1]", "one number"),
            ("return (auc[:, -1] - auc.max(axis=1)).mean()", "best less last"),
            ("return (auc.max(axis=1) - auc[:, -1]).sum()", "take the mean"),
            ("return auc.mean(axis=0).max() - auc[:, -1].mean()", "milder choice"),
            ("return auc.max(axis=1).mean() - auc.mean()", "mean over epochs"),
            ("return auc.max() - auc[:, -1].mean()", "each row has its own best"),
            ("return (auc.max(axis=0) - auc[:, -1]).mean()", "the best of a row is along axis=1"),
        ],
        [
            ("return gain_of_best(auc_a)", "the gain on A"),
            ("return gain_of_best(auc_b)", "chosen on B"),
            ("return (auc_a.max(axis=1) - auc_b[:, -1]).mean()", "both must be of B"),
            (
                "i = auc_a.argmax(axis=1)\nreturn (auc_b[np.arange(len(auc_b)), i] - auc_a[:, -1]).mean()",
                "compare B with B",
            ),
            (
                "i = auc_a.argmax(axis=1)\nreturn (auc_b[:, i] - auc_b[:, -1]).mean()",
                "takes whole columns",
            ),
            (
                "i = auc_a.argmax(axis=0)\nreturn (auc_b[np.arange(len(auc_b)), i] - auc_b[:, -1]).mean()",
                "the best of a row is along axis=1",
            ),
            (
                "i = auc_a.mean(axis=0).argmax()\nreturn (auc_b[:, i] - auc_b[:, -1]).mean()",
                "one epoch for all",
            ),
        ],
        [
            ("return gain_of_best(auc)", "needs anomalies"),
            ("return gain_of_best(accuracy)", "a gain in accuracy"),
            ("return gain_elsewhere(auc, accuracy)", "the other way round"),
            ("return gain_elsewhere(auc, auc)", "needs anomalies"),
            ("return accuracy - auc", "one number"),
        ],
    ],
}
