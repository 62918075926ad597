"""Tables of pictures as people save them: separators, encodings, types, ragged rows, pictures inside Parquet."""

import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmexplorer.errors import Refusal
from mmexplorer.explore import picture_tables
from mmexplorer.explore.picture_listing import Skipped
from mmexplorer.explore.picture_tables import named_class, read_table


def saved(tmp_path, content, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(path) -> str:
    with pytest.raises(Refusal) as caught:
        read_table(path, 100)
    sentence = str(caught.value)
    assert sentence.startswith(path.name) and sentence.endswith(".") and "\n" not in sentence
    return sentence


@pytest.mark.parametrize(
    "content",
    [
        "image,caption,n\na.png,ä cat,1\nb.png,,2\n",
        "image;caption;n\r\na.png;ä cat;1\r\nb.png;;2\r\n",
        "image\tcaption\tn\na.png\tä cat\t1\nb.png\t\t2",
        '"image","caption","n"\n"a.png","ä cat","1"\n"b.png","","2"\n',
        "\n\nimage,caption,n\n\na.png,ä cat,1\n\nb.png,,2\n\n",
        "\ufeffimage,caption,n\na.png,ä cat,1\nb.png,,2\n",
        "image,caption,n\na.png,ä cat,1\nb.png,,2\n".encode("utf-16"),
    ],
)
def test_text_tables_of_every_dialect(tmp_path, content):
    table = read_table(saved(tmp_path, content), 100)
    assert table.names == ("a.png", "b.png")
    assert table.columns.to_pydict() == {"caption": ["ä cat", ""], "n": [1, 2]}
    assert (table.total, table.bytes_column, table.skipped, table.remarks) == (2, "", (), ())


def test_a_tsv_is_divided_by_tabs_alone(tmp_path):
    table = read_table(saved(tmp_path, "file\tcaption, long\na.png\tb, c, d\n", "t.tsv"), 100)
    assert table.names == ("a.png",)
    assert table.columns.to_pydict() == {"caption, long": ["b, c, d"]}


def test_text_that_is_not_unicode_is_read_with_a_remark(tmp_path):
    table = read_table(saved(tmp_path, "image,caption\na.png,naïve – “yes”\n".encode("cp1252")), 100)
    assert table.columns["caption"].to_pylist() == ["naïve – “yes”"]
    assert table.remarks == ("t.csv is not UTF-8 and was read as Western European (Windows-1252) text.",)


def test_quoted_cells_keep_separators_and_line_breaks(tmp_path):
    table = read_table(saved(tmp_path, 'image,text\n"a,b.png","two\nlines, ""quoted"""\n'), 100)
    assert table.names == ("a,b.png",)
    assert table.columns["text"].to_pylist() == ['two\nlines, "quoted"']


def test_types_are_those_of_the_whole_column_and_names_stay_text(tmp_path):
    rows = "".join(f"{i:03d},{i},,true,\n" for i in range(50_000)) + "last,0.5,7,false,NA\n"
    table = read_table(saved(tmp_path, "file,real,whole,flag,empty\n" + rows), 1_000_000)
    assert table.names[:2] == ("000", "001") and table.names[-1] == "last"
    types = {field.name: str(field.type) for field in table.columns.schema}
    assert types == {"real": "double", "whole": "int64", "flag": "bool", "empty": "null"}
    assert table.columns["whole"].to_pylist()[-2:] == [None, 7]


def test_a_cell_may_be_long(tmp_path):
    table = read_table(saved(tmp_path, f"image,text\na.png,{'x' * 3_000_000}\nb.png,y\n"), 100)
    assert table.names == ("a.png", "b.png")


def test_rows_that_do_not_fit_are_skipped_by_their_lines(tmp_path):
    table = read_table(saved(tmp_path, "image,n\na.png,1\nb.png\nc.png,3,4\nd.png,5\n"), 100)
    assert table.names == ("a.png", "d.png")
    assert table.skipped == (
        Skipped("line 3 of t.csv", "has 1 fields, and the first row of the table has 2"),
        Skipped("line 4 of t.csv", "has 3 fields, and the first row of the table has 2"),
    )


def test_a_quotation_mark_that_is_not_closed_takes_the_rows_after_it(tmp_path):
    table = read_table(saved(tmp_path, 'image,n\na.png,1\n"b.png,2\nc.png,3\n'), 100)
    assert table.names == ("a.png",)
    assert [skipped.name for skipped in table.skipped] == ["line 3 of t.csv"]


def test_only_the_first_rows_are_kept_and_all_are_counted(tmp_path):
    path = saved(tmp_path, "image\n" + "".join(f"{i}.png\n" for i in range(10)))
    pq.write_table(pa.table({"image": [f"{i}.png" for i in range(10)], "n": range(10)}), tmp_path / "t.parquet")
    for file in (path, tmp_path / "t.parquet"):
        table = read_table(file, 3)
        assert (table.names, table.total) == (("0.png", "1.png", "2.png"), 10)
        assert table.columns.num_rows == 3


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("path,image", "image"),
        ("FileName ,label", "FileName"),
        ("label,file_name", "file_name"),
        ("url,file", "file"),
        (",path", "path"),
        ("image,image", "image"),
    ],
)
def test_the_picture_column(tmp_path, header, column):
    cells = ["the.png" if name.strip() == column else "other" for name in header.split(",")]
    table = read_table(saved(tmp_path, f"{header}\n{','.join(cells)}\n"), 100)
    assert table.names == ("the.png",)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty; put one picture in each row."),
        ("\ufeff \r\n\n", "is empty; put one picture in each row."),
        ("label,n\na,1\n", "has the columns label and n, and none of them names pictures; call that one image, "),
        ("url,n\nhttp://a.org/a.png,1\n", "names its pictures by web addresses only, which are not fetched; "),
        (b"\x89PNG\r\n\x1a\n\0\0", "is not a text file; save the table as CSV in UTF-8 or as Parquet."),
        ('"' + "x" * 200_000 + '",image\n', "cannot be read as CSV: "),
    ],
)
def test_text_tables_that_are_refused(tmp_path, content, sentence):
    assert refused(saved(tmp_path, content)).startswith(f"t.csv {sentence}")


def test_a_text_table_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_tables, "MAX_CSV_BYTES", 1_000_000)
    assert refused(saved(tmp_path, "image\n" + "x" * 1_000_000)) == "t.csv is larger than 1 MB; save it as Parquet."


def test_a_table_that_cannot_be_opened(tmp_path):
    assert "No such file" in refused(tmp_path / "t.csv")
    assert "No such file" in refused(tmp_path / "t.parquet")


def struct(*values):
    return [value and {"bytes": value[0], "path": value[1]} for value in values]


@pytest.mark.parametrize(
    ("columns", "bytes_column", "names"),
    [
        ({"image": struct((b"x", "a.png"), (b"y", None), None)}, "image", ("a.png", None, None)),
        ({"photo": struct((b"x", None)), "thumb": [b"y"]}, "photo", (None,)),
        ({"picture": [b"x"], "photo": struct((b"x", "p"))}, "picture", (None,)),
        ({"blob": pa.array([b"x"], pa.large_binary())}, "blob", (None,)),
        ({"hash": [b"x"], "file": ["a.png"]}, "", ("a.png",)),
        ({"image": struct((None, "a.png"))}, "", ("a.png",)),
        ({"image": ["a.png", None, " "]}, "", ("a.png", None, None)),
        ({"image": pa.array(["a.png"], pa.large_string())}, "", ("a.png",)),
    ],
)
def test_parquet_with_names_or_with_the_pictures_themselves(tmp_path, columns, bytes_column, names):
    count = len(names)
    pq.write_table(pa.table(columns | {"n": range(count), "caption": ["c"] * count}), tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet", 100)
    assert (table.bytes_column, table.names, table.total) == (bytes_column, names, count)
    assert table.columns.column("n").to_pylist() == list(range(count))
    assert bytes_column not in table.columns.column_names


def test_parquet_without_anything_but_pictures(tmp_path):
    pq.write_table(pa.table({"image": [b"x", b"y"]}), tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet", 100)
    assert (table.names, table.columns.num_columns, table.bytes_column) == ((None, None), 0, "image")


def test_what_pandas_writes(tmp_path):
    frame = pd.DataFrame({"file_name": ["a.png", "b.png"], "kind": pd.Categorical(["x", "y"]), "n": [1.0, None]})
    frame.to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet", 100)
    assert table.names == ("a.png", "b.png")
    assert table.columns["kind"].to_pylist() == ["x", "y"]


def test_the_pictures_bytes_are_not_read_with_the_table(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"image": struct(*[(bytes(200), f"{i}.png") for i in range(50)]), "n": range(50)}), path)
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    assert column.path_in_schema == "image.bytes"
    data = bytearray(path.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    data[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(data)
    assert read_table(path, 100).names == tuple(f"{i}.png" for i in range(50))


def test_class_labels_of_the_hugging_face_library_become_names(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    file = io.BytesIO()
    rows = {"image": [{"bytes": b"x", "path": "a.png"}] * 3, "label": [1, 0, None]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(file)
    table = read_table(saved(tmp_path, file.getvalue(), "t.parquet"), 100)
    assert table.columns["label"].to_pylist() == ["dog", "cat", None]
    assert (table.bytes_column, table.names) == ("image", ("a.png",) * 3)


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"info": {"features": [1]}}', '{"info": {"features": {"n": 1}}}'])
def test_a_schema_note_that_is_something_else_is_ignored(tmp_path, note):
    table = pa.table({"image": ["a.png"], "n": [0]}).replace_schema_metadata({"huggingface": note})
    pq.write_table(table, tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet", 100).columns.to_pydict() == {"n": [0]}


@pytest.mark.parametrize(("number", "name"), [(0, "cat"), (1, "dog"), (-1, None), (2, None), (None, None)])
def test_names_of_classes(number, name):
    assert named_class(number, ["cat", "dog"]) == name


@pytest.mark.parametrize("damage", ["cut", "text", "middle", "utf-8"])
def test_damaged_parquet_is_refused(tmp_path, damage):
    path = tmp_path / "t.parquet"
    text = pa.array([b"caf\xe9"] * 9).cast(pa.string(), safe=False) if damage == "utf-8" else ["text"] * 9
    pq.write_table(pa.table({"image": ["a.png"] * 9, "text": text}), path, compression="none")
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[:-20])
    elif damage == "text":
        path.write_bytes(b"image,n\n")
    elif damage == "middle":
        path.write_bytes(data[:4] + b"\xff" * 60 + data[64:])
    assert refused(path) == "t.parquet is damaged or not a Parquet file; save it again."


def test_parquet_without_pictures_is_refused(tmp_path):
    pq.write_table(pa.table({"label": ["a"], "n": [1], "vector": [[1.0]]}), tmp_path / "t.parquet")
    assert "has the columns label, n and vector, and none of them names pictures" in refused(tmp_path / "t.parquet")
