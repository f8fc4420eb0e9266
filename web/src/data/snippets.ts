// The lines that read a dataset with other programs, as the documentation for API clients has them.

import { urlOf } from "../lib/base";
import type { Dataset } from "./types";

export interface Snippet {
  readonly label: string;
  readonly hint: string;
  readonly text: string;
}

/** A file name as a word of a shell: letters, digits, `.`, `_` and `-` only, and no option. */
export function shellFileName(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9._-]+/g, "_").replace(/^[-._]+/, "");
  return plain === "" ? "dataset.tif" : plain.slice(0, 100);
}

export function downloadUrl(datasetId: string, token: string): string {
  const url = urlOf(`datasets/${encodeURIComponent(datasetId)}/download/cog`);
  url.searchParams.set("token", token);
  return url.href;
}

/** The lines for a dataset with a token. */
export function snippets(dataset: Dataset, token: string): Snippet[] {
  const url = downloadUrl(dataset.id, token);
  const file = shellFileName(dataset.file?.name ?? "dataset.tif");
  return [
    {
      label: "curl",
      hint: "Downloads the whole file, in a terminal.",
      text: `curl -sS --fail -L -o ${file} '${url}'`,
    },
    {
      label: "GDAL",
      hint: "Reads only the parts that are needed, in a terminal.",
      text: `export GDAL_DISABLE_READDIR_ON_OPEN=EMPTY_DIR\ngdalinfo '/vsicurl/${url}'`,
    },
    {
      label: "QGIS",
      hint: "Layer > Add Layer > Add Raster Layer; source type “Protocol: HTTP(S), cloud, etc.”, type “HTTP/HTTPS/FTP”; paste this as the URI.",
      text: url,
    },
    {
      label: "Python",
      hint: "With rasterio: pip install rasterio.",
      text: [
        "import rasterio",
        "",
        `url = "${url}"`,
        'with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):',
        '    with rasterio.open(f"/vsicurl/{url}") as dataset:',
        "        print(dataset.profile)",
        "        band = dataset.read(1, out_shape=(256, 256))",
      ].join("\n"),
    },
  ];
}
