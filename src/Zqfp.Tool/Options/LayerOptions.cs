using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Zqfp.Numerics;
using Zqfp.Quantization;

namespace Zqfp.Tool;

/// <summary>Which layers are quantized, and which differently.</summary>
internal sealed class LayerOptions
{
    private const string OverrideName = "--override";
    private const string KeepFloat = "float";

    private readonly IReadOnlyList<(string Word, NumberFormat Value)> _formats;
    private readonly Option<string[]> _include = Patterns("--include", "Only these layers, by a pattern of the node's, the weight's or the module's name; * and ? are wildcards; may be repeated");
    private readonly Option<string[]> _exclude = Patterns("--exclude", "Layers that stay float; may be repeated");
    private readonly Option<int> _minSize = Number.WholeOrZero("--min-size", "Layers with fewer weights stay float");
    private readonly Option<LayerOverride[]> _overrides;

    /// <summary>Creates the options.</summary>
    /// <param name="formats">The formats of weights.</param>
    public LayerOptions(IReadOnlyList<(string Word, NumberFormat Value)> formats)
    {
        _formats = formats;
        _overrides = new Option<LayerOverride[]>(OverrideName)
        {
            Description = $"What is different for some layers: format ({string.Join(", ", formats.Select(format => format.Word))}, or {KeepFloat} to keep them as they are), group-size, rank; may be repeated",
            HelpName = "PATTERN:KEY=VALUE,..",
            Arity = ArgumentArity.OneOrMore,
            CustomParser = result => [.. result.Tokens.Select(token => Parse(result, token.Value))],
        };
    }

    public void AddTo(Command command)
    {
        command.Options.Add(_include);
        command.Options.Add(_exclude);
        command.Options.Add(_minSize);
        command.Options.Add(_overrides);
    }

    /// <summary>What was chosen.</summary>
    public LayerSelection Of(ParseResult result) => new()
    {
        Include = result.GetValue(_include) ?? [],
        Exclude = result.GetValue(_exclude) ?? [],
        MinSize = result.GetValue(_minSize),
        Overrides = result.GetValue(_overrides) ?? [],
    };

    private static Option<string[]> Patterns(string name, string description) =>
        new(name) { Description = description, HelpName = "PATTERN", Arity = ArgumentArity.OneOrMore };

    /// <summary>A pattern may hold colons; no key or value does.</summary>
    private LayerOverride Parse(ArgumentResult result, string text)
    {
        int colon = text.LastIndexOf(':');
        var entry = new LayerOverride(colon < 0 ? text : text[..colon]);
        if (colon <= 0)
        {
            result.AddError($"{OverrideName} is a pattern, a colon and what is different, such as '*down_proj*:format=fp8,rank=16', not '{text}'.");
            return entry;
        }

        foreach (string part in text[(colon + 1)..].Split(',', StringSplitOptions.TrimEntries))
        {
            int equals = part.IndexOf('=', StringComparison.Ordinal);
            string value = part[(equals + 1)..];
            LayerOverride? set = (equals < 0 ? "" : part[..equals]) switch
            {
                "format" when value == KeepFloat => entry with { KeepFloat = true },
                "format" when _formats.Any(format => format.Word == value) => entry with { Format = _formats.Single(format => format.Word == value).Value },
                "group-size" when TryParse(value, QuantizationOptions.WholeTensor, out int size) => entry with { GroupSize = size },
                "rank" when TryParse(value, 0, out int rank) => entry with { Rank = rank },
                _ => null,
            };
            if (set is null)
            {
                result.AddError($"{OverrideName} sets format ({string.Join(", ", _formats.Select(format => format.Word))}, {KeepFloat}), group-size or rank, not '{part}'.");
                return entry;
            }

            entry = set;
        }

        return entry;
    }

    private static bool TryParse(string text, int least, out int value) =>
        int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value) && value >= least;
}
