namespace Zqfp.Reliability.Tests;

/// <summary>What random commands work on: small models, texts, a tokenizer, and what earlier commands made of them.</summary>
internal sealed class SoakFolder : IDisposable
{
    private static readonly string[] Cases =
        ["base", "constnodes", "ext_tied", "fused_head", "gemm_1N", "names_clash", "parallel", "moe_batched"];

    private static readonly string[] Corpus = ["recipe.json", "quantize.json", "gate.json", "baseline.json", "texts.jsonl"];

    private readonly string _root = Directory.CreateTempSubdirectory("zqfp-soak-").FullName;

    public SoakFolder()
    {
        foreach (string folder in (string[])["in", "out", "kept", "damaged", "tmp"])
        {
            Directory.CreateDirectory(Path.Combine(_root, folder));
        }

        foreach (string name in Cases)
        {
            foreach (string file in Directory.GetFiles(Repository.Path($"tests/Cases/{name}"), "model.onnx*"))
            {
                // The data of ext_tied is found by the name that the model has for it.
                string to = file.EndsWith(".onnx", StringComparison.Ordinal) ? name + ".onnx" : Path.GetFileName(file);
                File.Copy(file, In(to));
            }
        }

        File.Copy(Path.Combine(Trial.Case, "cal.i16"), In("cal.i16"));
        File.Copy(Path.Combine(Trial.Case, "eval.i16"), In("eval.i16"));
        foreach (string name in Corpus)
        {
            File.Copy(Repository.Path($"tests/Zqfp.Reliability.Tests/Corpus/{name}"), In(name));
        }

        string[] letters = [.. "cdefghijklmopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWX".Select(letter => $"{letter}")];
        File.WriteAllBytes(In("tokenizer.model"), FuzzSeeds.SentencePiece(letters));
        File.WriteAllText(In("text.txt"), string.Concat(Enumerable.Repeat("a ab nce n ab a\nnce b a ab ab n\n", 60)));
    }

    public string Root => _root;

    public string Temporary => Path.Combine(_root, "tmp");

    public string In(string name) => Path.Combine(_root, "in", name);

    public string Out(string name) => Path.Combine(_root, "out", name);

    public string Kept(string name) => Path.Combine(_root, "kept", name);

    /// <summary>A file that commands read: mostly as it is, at times a damaged copy, none at all, or a folder.</summary>
    public string Input(string path, Random random)
    {
        string name = Path.GetFileName(path);
        switch (random.Next(40))
        {
            case 0:
                return path + ".none";
            case 1:
                return Path.GetDirectoryName(path)!;
            case < 6 when File.Exists(path):
                string damaged = Path.Combine(_root, "damaged", name);
                byte[] content = File.ReadAllBytes(path);
                File.WriteAllBytes(damaged, Path.GetExtension(name) switch
                {
                    ".onnx" or ".model" => ProtoMutator.Mutate(content, random),
                    ".json" => JsonMutator.Mutate(content, random),
                    _ => ByteMutator.Mutate(content, random),
                });
                return damaged;
            default:
                return path;
        }
    }

    /// <summary>A model, mostly as an exporter wrote it or mostly as an earlier command did.</summary>
    public string Model(bool isMade, Random random)
    {
        string place = Path.Combine(_root, isMade == random.Next(8) > 0 ? "out" : "in");
        string[] models = [.. Directory.GetFiles(place, "*.onnx").Order(StringComparer.Ordinal)];
        return models.Length == 0 ? In("base.onnx") : models[random.Next(3) == 0 ? random.Next(models.Length) : 0];
    }

    /// <summary>What an earlier command wrote as JSON, or else one of the corpus.</summary>
    public string Result(string kind, Random random)
    {
        string made = Out(kind + ".json");
        return File.Exists(made) && random.Next(3) > 0 ? made : In(kind + ".json");
    }

    /// <summary>Two days go by for what is kept, so that it is old enough to be pruned.</summary>
    public void LetTimePass()
    {
        foreach (string file in Directory.GetFiles(Path.Combine(_root, "kept"), "*", SearchOption.AllDirectories))
        {
            File.SetLastWriteTimeUtc(file, File.GetLastWriteTimeUtc(file) - TimeSpan.FromDays(2));
        }
    }

    /// <summary>Damages one of the kept files.</summary>
    public void DamageKept(Random random)
    {
        string kept = Path.Combine(_root, "kept");
        string[] files = [.. Directory.GetFiles(kept, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];
        if (files.Length > 0)
        {
            string file = files[random.Next(files.Length)];
            File.WriteAllBytes(file, ByteMutator.Mutate(File.ReadAllBytes(file), random));
        }
    }

    /// <summary>Bytes of everything.</summary>
    public long Bytes() => Directory.GetFiles(_root, "*", SearchOption.AllDirectories).Sum(file => new FileInfo(file).Length);

    /// <summary>Files half-written, locks and what else no run that has ended leaves.</summary>
    public string[] Leftovers() =>
    [
        .. Directory.GetFileSystemEntries(_root, "*", SearchOption.AllDirectories).Where(path =>
            NewFile.IsTemporary(Path.GetFileName(path)) || path.EndsWith(CrossProcessLock.Extension, StringComparison.Ordinal)
            || path.EndsWith(CrossProcessLock.Extension + ".holder", StringComparison.Ordinal)
            || Path.GetFileName(path).StartsWith(Zqfp.Leftovers.Probe + ".", StringComparison.Ordinal)),
    ];

    public void Dispose() => Directory.Delete(_root, recursive: true);
}
