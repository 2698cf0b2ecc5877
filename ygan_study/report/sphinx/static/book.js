// Every picture opens large; the column of means of a wide table stays in sight (book.css).
addEventListener("DOMContentLoaded", () => {
  for (const image of document.querySelectorAll(".bd-article img")) {
    if (image.closest("a")) continue;
    const link = document.createElement("a");
    link.href = image.src;
    image.replaceWith(link);
    link.append(image);
  }
  for (const table of document.querySelectorAll(".bd-article table")) {
    const heads = [...table.rows[0].cells].map(cell => cell.textContent.trim());
    const mean = heads.findIndex(head => /^(mean|AUC)\b/.test(head));
    if (mean > 0) for (const row of table.rows) row.cells[mean]?.classList.add("mean");
  }
});
