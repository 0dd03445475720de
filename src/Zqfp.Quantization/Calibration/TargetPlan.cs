using Zqfp.CudaOps;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.Quantization;

/// <summary>The stages of a run, and what of the float model is carried beside them for the targets.</summary>
internal sealed class TargetPlan
{
    private readonly Dictionary<string, TargetJoin> _joins = new(StringComparer.Ordinal);
    private readonly HashSet<string> _owners;
    private readonly QuantizeOptions _options;
    private readonly ModelLayers _model;
    private readonly Lazy<ValueBytes> _values;

    /// <summary>Plans the stages.</summary>
    /// <param name="options">The options of the run.</param>
    /// <param name="file">The model.</param>
    /// <param name="model">Its layers.</param>
    /// <param name="layers">The layers to quantize, stage by stage.</param>
    public TargetPlan(QuantizeOptions options, OnnxFile file, ModelLayers model, IReadOnlyList<LinearLayer> layers)
    {
        _options = options;
        _model = model;
        _values = new Lazy<ValueBytes>(() => new ValueBytes(model.Graph, model.Found));
        _owners = [.. layers.Select(layer => layer.SharesWeightOf).OfType<string>()];
        bool isBesideFloat = options.LayerTarget != LayerTarget.None && options.CalibrateOn == CalibrationSource.Quantized;
        if (isBesideFloat && options.LayerTarget == LayerTarget.Residual)
        {
            FindJoins(file, model.Graph, layers);
        }

        Stages = StagePlanner.Plan(model.Graph, layers, model.Found, model.Facts.Logits, Read);
        Float = isBesideFloat ? StagePlanner.Plan(model.Graph, layers, model.Found, model.Facts.Logits, Exact) : null;
    }

    /// <summary>
    /// The stages of the model as it is quantized: they observe what layers read, and the stream that outputs are added to.
    /// </summary>
    public IReadOnlyList<CalibrationStage> Stages { get; }

    /// <summary>
    /// The same of the float model, or null where nothing is compared with it: they observe what layers read, and in place of that the
    /// residual stream behind those that are added to it, so that their outputs are made once.
    /// </summary>
    public IReadOnlyList<CalibrationStage>? Float { get; }

    /// <summary>Whether a GPU runs the slices.</summary>
    public bool RunsOnGpu => _options.Device == ZqfpDevice.Cuda;

    /// <summary>What values take for each token.</summary>
    public ValueBytes Values => _values.Value;

    /// <summary>Tokens of a batch.</summary>
    public int BatchTokens => SliceRunner.WindowsOfBatch(_options.Window, _model.Facts.FixedBatch, RunsOnGpu) * _options.Window;

    /// <summary>The options of the run as they hold for a stage.</summary>
    public QuantizeOptions OptionsOf(CalibrationStage stage) => _model.OptionsFor(stage.Input, _options);

    /// <summary>The joins of a stage's layers, by name; layers without one are left out.</summary>
    public IReadOnlyDictionary<string, TargetJoin> JoinsOf(CalibrationStage stage) => stage.Layers
        .Where(layer => _joins.ContainsKey(layer.Name))
        .ToDictionary(layer => layer.Name, layer => _joins[layer.Name], StringComparer.Ordinal);

    /// <summary>
    /// Whether a layer of <paramref name="stage"/> has a weight that layers of other stages read too. One weight has one basis, so such
    /// stages cannot choose theirs.
    /// </summary>
    public bool SharesWeights(CalibrationStage stage) =>
        stage.Layers.Any(layer => layer.SharesWeightOf is not null || _owners.Contains(layer.Name));

    /// <summary>
    /// Whether the biases of a stage's layers are fitted. All of them must have one, for the layers' moments are the same; and a weight
    /// that other layers read too has to fit their means as well.
    /// </summary>
    public bool FitsBiases(CalibrationStage stage) => _options.Bias == LayerBias.Fitted && !SharesWeights(stage)
        && stage.Layers.All(layer => layer.Bias is not null && !layer.IsExpert);

    private void FindJoins(OnnxFile file, GraphIndex graph, IReadOnlyList<LinearLayer> layers)
    {
        HashSet<NodeProto> notYet = [.. layers.SelectMany(layer => layer.Nodes)];
        foreach (IReadOnlyList<LinearLayer> stage in StageOrder.Group(graph, layers))
        {
            foreach (LinearLayer layer in stage)
            {
                if (!layer.IsExpert && ResidualJoin.Find(graph, layer, notYet) is { } join)
                {
                    _joins.Add(layer.Name, new TargetJoin(join, WeightReader.ReadBias(file, graph, layer)));
                }
            }

            notYet.ExceptWith(stage.SelectMany(layer => layer.Nodes));
        }
    }

    private IEnumerable<string> Read(IReadOnlyList<LinearLayer> stage) =>
        stage.Select(layer => _joins.GetValueOrDefault(layer.Name)?.Place.Stream).OfType<string>().Prepend(stage[0].Input)
            .Concat(Routing(stage));

    private IEnumerable<string> Exact(IReadOnlyList<LinearLayer> stage) =>
        stage.Select(layer => _joins.GetValueOrDefault(layer.Name)?.Place.Sum ?? layer.Input).Concat(Routing(stage));

    /// <summary>The values that tell which rows the layers read.</summary>
    private static IEnumerable<string> Routing(IReadOnlyList<LinearLayer> stage) =>
        stage.SelectMany(layer => (string?[])[layer.Expert?.Index, layer.RoutedBy]).OfType<string>();
}

/// <summary>Where a layer's output joins the residual stream.</summary>
/// <param name="Place">The values.</param>
/// <param name="Bias">What the layer adds besides its product: [N].</param>
internal sealed record TargetJoin(ResidualJoin Place, float[] Bias);
