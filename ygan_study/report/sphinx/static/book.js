// Every picture opens large; of a wide table the columns that name a row, and its mean, stay in sight.
addEventListener("DOMContentLoaded", () => {
  for (const image of document.querySelectorAll(".bd-article img")) {
    if (image.closest("a")) continue;
    const link = document.createElement("a");
    link.href = image.src;
    image.replaceWith(link);
    link.append(image);
  }
});
addEventListener("load", () => {  // when the columns have their widths
  for (const table of document.querySelectorAll(".bd-article table")) {
    const heads = [...table.rows[0].cells], room = table.parentElement.clientWidth;
    const numbers = heads.findIndex(head => head.classList.contains("text-right"));
    const mean = heads.findIndex(head => /^(mean|AUC|\[95)/.test(head.textContent.trim()));
    for (const row of table.rows) row.cells[mean]?.classList.add("mean");
    if (table.offsetWidth <= room) continue;
    let left = 0;
    heads.forEach((head, column) => {
      const { width } = head.getBoundingClientRect();
      if ((column >= numbers && column != mean) || left + width > 0.7 * room) return;
      for (const row of table.rows) {
        row.cells[column]?.classList.add("kept");
        row.cells[column]?.style.setProperty("left", `${Math.floor(left)}px`);
      }
      left += width - 2;  // a border is transparent: nothing may pass behind it
    });
  }
});
