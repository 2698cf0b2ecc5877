"""Results in, pictures out: the paper's figures and what stands beside them. They train nothing.

A figure is a function of runs, or of the rows of runs.csv.
"""

from dataclasses import replace

from ygan_study.report.figures import curves, explained, images, overview, qualitative, scores
from ygan_study.report.view import View

PARTS = (overview, explained, images, curves, qualitative, scores)
ALT = {  # what a figure shows, for those who cannot see it; by the function that draws it
    "main_result": "The AUC on each dataset of the printed Y-GAN, of Y-GAN trained here with two "
    "sets of loss weights and as the authors' program does, and of two classifiers.",
    "coverage": "Methods by datasets, shaded by how many of the paper's classes were trained.",
    "auc_by_cost": "The AUC of each method against the operations of one training, by dataset.",
    "method_differences": "By how much the AUCs of methods differ, by dataset and score.",
    "ablation_costs": "By how much the AUC changes without each part of Y-GAN, by dataset.",
    "weak_label_costs": "By how much the AUC changes with clusters for classes, by dataset.",
    "score_differences": "By how much Y-GAN differs from a classifier, by score and dataset.",
    "code_epochs": "AUC, accuracy and two loss terms by epoch, of the printed equations and of the "
    "public code.",
    "deviation_dots": "Four measures of short trainings with each difference of the public code "
    "alone, and of the public code without each, beside both without a change.",
    "added_gains": "By how much Y-GAN's other networks change the AUC of a strong "
    "classifier, by score.",
    "fig1": "A normal and an anomalous digit with their latents, reconstructions and class "
    "probabilities, which are spread over several digits for the anomaly.",
    "architecture": "An image enters two encoders; a decoder rebuilds it from both latents, and a "
    "classifier reads its class from the semantic latent alone.",
    "fig2": "The five networks of Y-GAN, layer by layer, with the loss terms where they act.",
    "fig3": "Three pairs of digits, the hybrid of each pair, and the semantic latent that went in "
    "beside the one that comes back.",
    "fig4": "Six test images of each class of MNIST, FMNIST and CIFAR10.",
    "fig5": "Three healthy and three diseased leaves of each species of PlantVillage.",
    "plantvillage_augmentation": "A leaf after each of seven operations at three strengths, and "
    "three leaves as training may see them.",
    "color_mnist_samples": "Handwritten digits in black, each on ten background colours.",
    "fig6a": "Grids of decoded digits under the images that gave the semantic latents, beside "
    "those that gave the residual latents.",
    "swaps": "A grid of decoded digits: each column keeps the digit of the image on top, each row "
    "takes the colour of the image on the left.",
    "fig6b": "Maps of both latents of each configuration, coloured by digit and by background.",
    "fig7": "A grid of decoded photographs under the images that gave the semantic latents, beside "
    "those that gave the residual latents.",
    "tsne_latents": "Maps of both latents, with a colour and a mark for each class.",
    "color_mnist_losses": "The six loss terms of each configuration over the training.",
    "ladder": "The AUC of Y-GAN and of a classifier against the images seen, by dataset.",
    "paper_size": "The AUC and the accuracy of the classifier over 100 epochs of three trainings.",
    "best_epoch": "The AUC on the test set after each epoch, each training's best epoch ringed.",
    "fig9": "Test images, and heat maps of where the semantic encoder looks.",
    "edge_cases_sheet": "The worst false alarms and the worst missed anomalies of each dataset.",
    "fig8": "The AUC of twelve anomaly scores, by dataset.",
    "score_distributions": "Histograms of the scores of normal images and of anomalies.",
    "silhouette": "The average silhouette against the number of clusters, by dataset.",
    "accuracy_plot": "The AUC of each training against its classifier's accuracy, by dataset.",
    "one_image_in_batches": "An anomaly, its neighbours in two batches, and where its score lies.",
    "batch_statistics": "The AUC of Y-GAN and of a classifier by kind and size of the batch.",
}
FIGURES: dict[str, View] = {
    name: replace(view, alt=ALT[view.function.__name__])
    for part in PARTS
    for name, view in part.VIEWS.items()
}
