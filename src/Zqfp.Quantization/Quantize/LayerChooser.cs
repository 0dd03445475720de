using System.Globalization;
using System.IO.Enumeration;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>What is to be done with one linear layer.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="Options">How it is quantized, unless it stays float.</param>
/// <param name="FloatBecause">Why it stays float, in a few words; null where it is quantized.</param>
/// <param name="IsLeftOut">Whether it stays float because the options say so, not for what it is.</param>
internal sealed record LayerChoice(LinearLayer Layer, QuantizationOptions Options, string? FloatBecause, bool IsLeftOut = false);

/// <summary>Applies a <see cref="LayerSelection"/> to the layers of a model.</summary>
internal static class LayerChooser
{
    /// <summary>What is to be done with each layer, in their order.</summary>
    /// <exception cref="ZqfpException">ZQFP0005: an override asks for a combination that no operator computes.</exception>
    public static IReadOnlyList<LayerChoice> Choose(IReadOnlyList<LinearLayer> layers, QuantizeOptions options)
    {
        LayerChoice[] choices = [.. layers.Select(layer => Choose(layer, options))];
        foreach (QuantizationOptions weights in choices.Where(choice => choice.FloatBecause is null && !options.IsSimulated)
            .Select(choice => choice.Options)
            .Distinct())
        {
            QuantizeOptionRules.CheckFormats(weights, options.Activations);
        }

        return choices;
    }

    /// <summary>Whether the options say of the layer by itself how it is quantized.</summary>
    public static bool IsOverridden(LinearLayer layer, LayerSelection selection) =>
        selection.Overrides.Any(entry => Matches(entry.Pattern, layer));

    /// <summary>Whether the options leave a product out that cannot be quantized: then nobody has to be warned about it.</summary>
    public static bool LeavesOut(LayerSelection selection, OverlookedProduct product) =>
        selection.Exclude.Concat(selection.Overrides.Where(entry => entry.KeepFloat).Select(entry => entry.Pattern))
            .Any(pattern => Matches(pattern, product))
        || (selection.Include.Count > 0 && !selection.Include.Any(pattern => Matches(pattern, product)));

    /// <summary>A warning ZQFP0010 for each pattern that matches no layer.</summary>
    public static IEnumerable<Diagnostic> UnusedPatterns(ModelLayers model, QuantizeOptions options)
    {
        LayerSelection selection = options.Selection;
        IEnumerable<(string Option, string Pattern)> patterns =
        [
            .. selection.Include.Select(pattern => ("--include", pattern)),
            .. selection.Exclude.Select(pattern => ("--exclude", pattern)),
            .. selection.Overrides.Select(entry => ("--override", entry.Pattern)),
        ];
        return patterns.Distinct().Where(entry => !IsUsed(entry.Option, entry.Pattern)).Select(entry => new Diagnostic(
            "ZQFP0010",
            DiagnosticSeverity.Warning,
            $"The pattern '{entry.Pattern}' of {entry.Option} matches no layer of the model: no name of a linear node, of its weight or of "
            + "its module.",
            options.ModelPath));

        bool IsUsed(string option, string pattern) => model.Found.Any(layer => Matches(pattern, layer))
            || (option != "--include" && model.Overlooked.Any(product => Matches(pattern, product)));
    }

    private static LayerChoice Choose(LinearLayer layer, QuantizeOptions options)
    {
        LayerSelection selection = options.Selection;
        bool isFp8Head = layer.IsHead && options.Head == VocabularyFormat.Fp8;
        QuantizationOptions weights = isFp8Head ? VocabularyPlan.HeadOptions(options.Quantization)
            : options.DenseFormat is { } dense && !layer.IsExpert ? DenseOptions(options.Quantization, dense)
            : options.Quantization;
        bool keepFloat = false;
        foreach (LayerOverride entry in selection.Overrides.Where(entry => Matches(entry.Pattern, layer)))
        {
            weights = entry.Apply(weights);
            keepFloat = entry.KeepFloat || (keepFloat && entry.Format is null);
        }

        long size = (long)layer.OutFeatures * layer.InFeatures;
        bool isNamed = isFp8Head || selection.Include.Any(pattern => IsName(pattern, layer));
        string? because = (layer.IsHead, layer.IsTied) switch
        {
            _ when selection.Exclude.Any(pattern => Matches(pattern, layer)) => "excluded",
            _ when keepFloat => "kept float by an override",
            (_, true) when !isNamed => "tied to the embedding",
            (true, _) when !isNamed => "makes the logits",
            _ when isFp8Head => null,
            _ when options.KeepsRouters && layer.IsRouter && !isNamed => "decides which expert a token goes to",
            _ when selection.Include.Count > 0 && !selection.Include.Any(pattern => Matches(pattern, layer)) => "not included",
            _ when size < selection.MinSize => string.Create(
                CultureInfo.InvariantCulture, $"has {size} weights, fewer than {selection.MinSize}"),
            _ => null,
        };
        bool isSpecial = (layer.IsTied || layer.IsHead || (options.KeepsRouters && layer.IsRouter)) && !isNamed;
        return new LayerChoice(layer, weights, because, IsLeftOut: because is not null && !isSpecial);
    }

    /// <summary>The hybrid's layers that are no experts: with scales that are powers of two, in DeepSeek's squares.</summary>
    private static QuantizationOptions DenseOptions(QuantizationOptions experts, NumberFormat format)
    {
        QuantizationOptions dense = experts with { Format = format, Rank = 0 };
        return experts.Constraint == ScaleConstraint.Ue8M0
            ? dense with { GroupSize = QuantizationOptions.SquareBlock, GroupRows = QuantizationOptions.SquareBlock }
            : dense;
    }

    /// <summary>Whether the pattern means the layer: by its very name, or by a wildcard where the layer is neither head nor tied.</summary>
    private static bool Matches(string pattern, LinearLayer layer) =>
        IsName(pattern, layer)
        || (!(layer.IsHead || layer.IsTied)
            && NamesOf(layer).Any(name => FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false)));

    private static bool Matches(string pattern, OverlookedProduct product) => new[] { product.Name, product.Weight.Name, product.Module }
        .OfType<string>().Any(name => FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false));

    private static bool IsName(string pattern, LinearLayer layer) => NamesOf(layer).Contains(pattern);

    private static IEnumerable<string> NamesOf(LinearLayer layer) =>
        layer.Module is { } module ? [layer.Name, layer.Weight, module] : [layer.Name, layer.Weight];
}
