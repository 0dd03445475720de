using System.Globalization;
using Zqfp.Evaluation;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>What a model's structure says before any weight is read, and what options make of it.</summary>
internal sealed record ModelLayers
{
    /// <summary>The graph in which the layers to quantize are plain products; every other node is as the model has it.</summary>
    public required GraphIndex Graph { get; init; }

    /// <summary>The model.</summary>
    public required ModelFacts Facts { get; init; }

    /// <summary>The linear layers of <see cref="Graph"/>.</summary>
    public required IReadOnlyList<LinearLayer> Found { get; init; }

    /// <summary>For each linear layer of the model, how it is to be quantized or why it stays float.</summary>
    public required IReadOnlyList<LayerChoice> Choices { get; init; }

    /// <summary>Products with a constant weight that are none of these layers.</summary>
    public required IReadOnlyList<OverlookedProduct> Overlooked { get; init; }

    /// <summary>What becomes of embedding and head.</summary>
    public VocabularyPlan Vocabulary { get; private init; } = new();

    /// <summary>The layers to quantize.</summary>
    public IReadOnlyList<LayerChoice> Chosen => [.. Choices.Where(choice => choice.FloatBecause is null)];

    /// <summary>
    /// The options of the run as they hold for the layers that read <paramref name="input"/>: a head in FP8 reads it as it is, unless other
    /// layers read it too; and the rows of an embedding are moved to no target.
    /// </summary>
    public QuantizeOptions OptionsFor(string input, QuantizeOptions options) =>
        options.Head == VocabularyFormat.Fp8 && Chosen.Where(choice => choice.Layer.Input == input).All(choice => choice.Layer.IsHead)
            ? options with
            {
                Activations = ActivationFormat.None,
                Rotation = QuantizeOptions.NoRotation,
                LayerTarget = Vocabulary.TiedHead?.Input == input ? LayerTarget.None : options.LayerTarget,
            }
            : options;

    /// <summary>Bytes of a layer's weight as the model stores it, or would if it were not computed.</summary>
    public static long BytesOf(OnnxFile file, LinearLayer layer)
    {
        long bytes = layer.Source.Computed is { } computed
            ? TensorTypes.ByteLength(computed.Type, computed.Count)
            : file.Read(layer.Source.Tensor).ByteLength;
        return bytes / (layer.Expert?.Count ?? 1);
    }

    /// <summary>Names of the constants that no node reads once the layers and embeddings chosen are replaced.</summary>
    public IEnumerable<string> ReplacedWeights()
    {
        HashSet<string> looked = [.. Vocabulary.Embeddings.SelectMany(table => Graph.SameData(table.Weight.Name))];
        HashSet<string> stays = [.. Choices.Where(choice => choice.FloatBecause is not null).SelectMany(
            choice => choice.Layer.Source.Constants.SelectMany(Graph.SameData))];
        return Chosen.Select(choice => choice.Layer).Where(layer => !layer.IsTied || looked.Contains(layer.Weight))
            .SelectMany(layer => layer.Source.Constants)
            .Concat(looked)
            .Concat(Graph.Graph.Initializer.Select(tensor => tensor.Name).Where(IsUnread))
            .Where(name => !stays.Contains(name));

        // The codes of QMoE are read under other names, those of the graph's own shapes.
        bool IsUnread(string name) => Graph.Consumers(name).Count == 0 && !Graph.IsOutput(name);
    }

    /// <summary>Finds the layers of an opened model.</summary>
    public static ModelLayers Of(OnnxFile file, QuantizeOptions options)
    {
        var graph = new GraphIndex(file.Graph, file.Path);
        ModelFacts facts = ModelFacts.Of(file, graph, options.Logits);
        GraphIndex plain = LinearForms.Plain(graph, file.Path);
        IReadOnlyList<LinearLayer> found = LinearLayerFinder.Find(plain, facts.Logits);
        var all = new ModelLayers
        {
            Graph = plain,
            Facts = facts,
            Found = found,
            Choices = LayerChooser.Choose(found, options),
            Overlooked = [.. OverlookedProduct.Find(plain, found, facts.Logits, file.Envelope.Functions)
                .Select(product => product with { IsLeftOut = LayerChooser.LeavesOut(options.Selection, product) })],
        };
        ModelLayers layers = ReferenceEquals(plain, graph) || all.Chosen.Count == found.Count ? all : all.Narrowed(graph, file.Path);
        var vocabulary = VocabularyPlan.Of(file, layers.Graph, layers.Choices, layers.Overlooked, options, facts.Logits);
        return layers with
        {
            Vocabulary = vocabulary,
            Choices = ExpertMates.Mark([.. layers.Choices.Select(choice => ReferenceEquals(choice.Layer, vocabulary.TiedHead)
                ? choice with { Options = VocabularyPlan.TiedOptions(choice.Options) }
                : choice)]),
        };
    }

    /// <summary>Refuses, before anything is computed, what could not be written as one constant.</summary>
    private void RequireWholeStacks(OnnxFile file)
    {
        foreach (IGrouping<string, LayerChoice> stack in Choices.Where(choice => choice.Layer.Expert is not null)
            .GroupBy(choice => choice.Layer.Expert!.Group))
        {
            LayerChoice first = stack.First();
            if (stack.FirstOrDefault(choice => How(choice) != How(first)) is { } other)
            {
                throw new ZqfpException("ZQFP1040",
                    $"The experts of '{stack.Key}' are one constant and are quantized alike or not at all: '{first.Layer.DisplayName}' was "
                    + $"to be {How(first)}, and '{other.Layer.DisplayName}' {How(other)}. Use a pattern that matches all of them, such as "
                    + $"'{stack.Key}/experts.*'.",
                    file.Path);
            }
        }

        static string How(LayerChoice choice) => choice.FloatBecause is not null
            ? "float"
            : string.Create(CultureInfo.InvariantCulture,
                $"{choice.Options.Format.Name} g{choice.Options.GroupSize} with rank {choice.Options.Rank}");
    }

    /// <summary>Refuses a model whose loss could not be measured, or that has nothing to quantize.</summary>
    /// <exception cref="ZqfpException">
    /// ZQFP1008: logits of the last token alone. ZQFP1009: no layer. ZQFP0014: quantized already. ZQFP1040: experts of one constant are to
    /// be quantized each in its own way.
    /// </exception>
    public void Require(OnnxFile file)
    {
        if (LogitsCoverage.Refusal(Graph, Found, Facts.Logits) is { } refusal)
        {
            throw new ZqfpException("ZQFP1008",
                $"The model gives logits for the last token alone ({refusal}): what quantizing costs could not be measured. Export it "
                + "without pruning the head.",
                file.Path);
        }

        if (Chosen.Count > 0)
        {
            RequireWholeStacks(file);
            return;
        }

        AlreadyQuantized.RefuseProducts(file);
        string why = (Overlooked.Count > 0, Choices.Any(choice => choice.IsLeftOut)) switch
        {
            (_, true) => "the options leave out every one",
            (true, _) => string.Join("; ", Coverage.Of(file, this).DescribeExceptions()),
            _ => "no product with a constant weight besides the head",
        };
        throw new ZqfpException("ZQFP1009", $"The model has no linear layer to quantize: {why}.", file.Path);
    }

    /// <summary>What is worth knowing before a model is quantized, and does not hinder it.</summary>
    /// <param name="options">The options that the layers were chosen by.</param>
    /// <param name="coverage">How much of the model is quantized.</param>
    public IEnumerable<Diagnostic> Warnings(QuantizeOptions options, Coverage coverage) =>
    [
        .. LayerChooser.UnusedPatterns(this, options),
        .. new[] { coverage.Warning(options.ModelPath), CorrectionSize.Warning(Chosen, options.ModelPath), Vocabulary.Warning }
            .OfType<Diagnostic>(),
    ];

    /// <summary>The same, in a graph where the products that stay float are spelled as in <paramref name="original"/>.</summary>
    private ModelLayers Narrowed(GraphIndex original, string path)
    {
        HashSet<string> chosen = [.. Chosen.SelectMany(choice => NodeNames(choice.Layer))];
        GraphIndex narrowed = LinearForms.Plain(original, path, chosen);
        IReadOnlyList<LinearLayer> found = LinearLayerFinder.Find(narrowed, Facts.Logits);
        Dictionary<string, LinearLayer> byName = found.ToDictionary(layer => layer.Name, StringComparer.Ordinal);
        return this with
        {
            Graph = narrowed,
            Found = found,
            Choices = [.. Choices.Select(
                choice => byName.TryGetValue(choice.Layer.Name, out LinearLayer? layer) ? choice with { Layer = layer } : choice)],
        };
    }

    /// <summary>
    /// The name of the layer's node in the model; of experts that of their product, and of the node before the last slash, which may have
    /// become several products.
    /// </summary>
    private static IEnumerable<string> NodeNames(LinearLayer layer) => layer.Expert is { Group: var group }
        ? [group, group[..Math.Max(0, group.LastIndexOf('/'))]]
        : [layer.Name];
}
