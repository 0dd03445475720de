using System.Globalization;

namespace Zqfp.Reliability.Tests;

/// <summary>Commands of the tool by chance: any command, with any options of the table, over the files of a folder.</summary>
internal sealed class RandomCommands(SoakFolder folder)
{
    private static readonly OptionCommands[] Kinds =
    [
        OptionCommands.Quantize, OptionCommands.Quantize, OptionCommands.Quantize, OptionCommands.Evaluate, OptionCommands.Gate,
        OptionCommands.Gate, OptionCommands.Plan, OptionCommands.Verify, OptionCommands.Sweep, OptionCommands.Report,
        OptionCommands.Inspect, OptionCommands.Doctor, OptionCommands.None,
    ];

    private static readonly string[][] Others =
    [
        ["explain"], ["explain", "ZQFP3001"], ["explain", "nothing"], ["schema"], ["completion", "bash"], ["completion", "cmd"],
        ["--version"], [], ["quantise"], ["quantize", "--help"],
    ];

    /// <summary>Options that every command over models of windows of 32 tokens is given; without them it would refuse.</summary>
    private static readonly string[] Always =
        ["--window", "--windows", "--calibration-windows", "--threads", "--tokenizer", "--calibration", "--text"];

    /// <summary>The next command; the first word is its name.</summary>
    public string[] Next(Random random)
    {
        OptionCommands kind = Kinds[random.Next(Kinds.Length)];
        if (kind == OptionCommands.None)
        {
            return Others[random.Next(Others.Length)];
        }

        List<string> words = [kind.ToString().ToLowerInvariant(), .. Subjects(kind, random)];
        bool isText = random.Next(4) == 0;
        double chance = random.Next(3) == 0 ? 0.3 : 0.04;
        foreach (ToolOption option in OptionTable.Of(kind))
        {
            bool isGiven = option.IsRequiredBy(kind)
                || (Always.Contains(option.Name) ? option.Name != "--tokenizer" || isText : random.NextDouble() < Chance(option, chance));
            if (isGiven)
            {
                words.Add(option.Name);
                words.AddRange(option.Kind == OptionKind.Flag ? [] : [Value(option, kind, isText, random)]);
            }
        }

        return [.. words];
    }

    private static double Chance(ToolOption option, double chance) => option.Name switch
    {
        "--work" or "--cache" or "--result" or "--gate" => 0.5,
        "--profile" => 0.3,
        "--device" or "--for" or "--operators-library" or "--document-marker" or "--json-field" => 0.01,
        _ => chance,
    };

    private IEnumerable<string> Subjects(OptionCommands kind, Random random) => kind switch
    {
        OptionCommands.Doctor => [],
        OptionCommands.Report => [folder.Input(folder.Result("quantize", random), random)],
        OptionCommands.Verify =>
            [folder.Input(folder.Model(isMade: false, random), random), folder.Input(folder.Model(isMade: true, random), random)],
        OptionCommands.Evaluate or OptionCommands.Gate => [folder.Input(folder.Model(isMade: true, random), random)],
        _ => [folder.Input(folder.Model(isMade: false, random), random)],
    };

    private string Value(ToolOption option, OptionCommands kind, bool isText, Random random) => (option.Name, option.Kind) switch
    {
        ("--output", _) when kind == OptionCommands.Report => folder.Out("report." + Pick(random, "html", "md", "json", "txt")),
        ("--output", _) when kind == OptionCommands.Sweep => folder.Out("sweep"),
        ("--output", _) => folder.Out($"{random.Next(4)}.onnx"),
        ("--result", _) => folder.Out(kind == OptionCommands.Gate ? "gate.json" : "quantize.json"),
        ("--work" or "--cache", _) => folder.Kept($"{option.Name[2..]}{random.Next(2)}"),
        ("--against", _) => folder.Input(folder.Model(isMade: false, random), random),
        ("--gate", _) => folder.Input(folder.Result("gate", random), random),
        ("--baseline", _) => Pick(random, folder.Out("baseline.json"), folder.Input(folder.In("baseline.json"), random)),
        ("--recipe", _) => folder.Input(folder.In("recipe.json"), random),
        ("--tokenizer", _) => folder.Input(folder.In("tokenizer.model"), random),
        ("--calibration", _) => folder.Input(folder.In(isText ? "text.txt" : "cal.i16"), random),
        ("--text", _) => folder.Input(folder.In(isText ? Pick(random, "text.txt", "texts.jsonl") : "eval.i16"), random),
        ("--window", _) => Pick(random, "32", "32", "32", "16", "1000"),
        ("--windows" or "--calibration-windows", _) => Pick(random, "1", "2", "4"),
        ("--threads", _) => Pick(random, "1", "1", "2"),
        ("--bits", _) => Pick(random, "4.5", "6", "9", "12"),
        ("--rank", _) => Pick(random, "0", "4", "8", "1000"),
        (_, OptionKind.Choice) => option.Words[random.Next(option.Words.Count)],
        (_, OptionKind.ChoiceList) =>
            string.Join(',', Enumerable.Range(0, 1 + random.Next(2)).Select(_ => option.Words[random.Next(option.Words.Count)])),
        (_, OptionKind.Whole) => random.Next(5) == 0 ? "-1" : random.Next(1, 300).ToString(CultureInfo.InvariantCulture),
        (_, OptionKind.Fraction or OptionKind.Positive) => random.NextDouble().ToString("0.###", CultureInfo.InvariantCulture),
        (_, OptionKind.Percentage) => Pick(random, "0%", "5%", "100%", "5"),
        (_, OptionKind.Size) => Pick(random, "50KB", "1MB", "3GB"),
        (_, OptionKind.Overrides) => Pick(random, "*down_proj*:format=fp8", "*0*:rank=4,group-size=16", "x:y"),
        (_, OptionKind.Tasks) => folder.Input(folder.In("gate.json"), random),
        (_, OptionKind.List) => Pick(random, "*0*", "*", "lm_head", ""),
        (_, OptionKind.Input or OptionKind.Place) => folder.Input(folder.In("base.onnx"), random),
        _ => Pick(random, "logits", "text", "<s>", "x"),
    };

    private static string Pick(Random random, params string[] values) => values[random.Next(values.Length)];
}
