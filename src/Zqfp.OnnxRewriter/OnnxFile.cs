using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>An ONNX model opened for reading: its structure in memory, its external data mapped, nothing of it changed.</summary>
internal sealed class OnnxFile : IDisposable
{
    private readonly TensorStore _tensors;

    private OnnxFile(string path, ModelProto model, FileStamp stamp)
    {
        Path = path;
        Stamp = stamp;
        Graph = model.Graph;
        model.Graph = null;
        Envelope = model;
        _tensors = new TensorStore(path);
    }

    /// <summary>The model's path as given.</summary>
    public string Path { get; }

    /// <summary>What the model's file was before it was read.</summary>
    public FileStamp Stamp { get; }

    /// <summary>The graph, spelled plainly (functions inlined, weights as initializers), with unknown fields kept.</summary>
    public GraphProto Graph { get; }

    /// <summary>Everything of the model but its graph: versions, operator sets, functions, properties, unknown fields.</summary>
    public ModelProto Envelope { get; }

    /// <summary>Opens a model.</summary>
    /// <exception cref="ZqfpException">
    /// ZQFP0001: no such file. ZQFP1001: not an ONNX model. ZQFP1011: external data inside a node. ZQFP1020: a shape that nothing can have.
    /// ZQFP1021: a malformed node.
    /// </exception>
    public static OnnxFile Open(string path)
    {
        if (!File.Exists(path))
        {
            string why = Directory.Exists(path) ? "is a folder; name the .onnx file in it" : "does not exist; check the path";
            throw new ZqfpException("ZQFP0001", $"Model '{path}' {why}.", path);
        }

        ModelProto model;
        var stamp = FileStamp.Of(path);
        try
        {
            using FileStream stream = File.OpenRead(path);
            model = ModelProto.Parser.ParseFrom(stream);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new ZqfpException("ZQFP1001",
                $"'{path}' is not a readable ONNX model ({e.Message.TrimEnd('.')}). It may be truncated; export or copy it again.",
                path, e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ZqfpException("ZQFP1001", $"'{path}' cannot be read: {e.Message}", path, e);
        }

        if (model.HasIrVersion && model.Graph is not null)
        {
            PlainModel.Make(model);
        }

        if (!model.HasIrVersion || model.Graph is null || model.Graph.Node.Count == 0
            || !model.OpsetImport.Any(opset => opset.Domain.Length == 0))
        {
            throw new ZqfpException("ZQFP1001", $"'{path}' is not an ONNX model: it lacks a version, an operator set or a graph.", path);
        }

        RequirePossibleShapes(model.Graph, path);
        if (model.TrainingInfo.SelectMany(info => (GraphProto?[])[info.Initialization, info.Algorithm])
            .Any(graph => graph is not null && HoldsExternalData(graph)))
        {
            throw new ZqfpException("ZQFP1011", "The model's training information keeps external data, which cannot be carried over. "
                + "Export the model for inference.", path);
        }

        if (model.Functions.SelectMany(function => function.AttributeProto).Any(HoldsExternalData))
        {
            throw new ZqfpException("ZQFP1011", "A default value of a function's attribute keeps external data, which cannot be carried "
                + "over. Export the model with its weights as initializers of the main graph.", path);
        }

        if (model.Graph.SparseInitializer.FirstOrDefault() is { } sparse)
        {
            throw new ZqfpException("ZQFP1011",
                $"Sparse initializer '{sparse.Values?.Name}' keeps its data in another file, or its indices do not fit it. Export the "
                + "model with dense initializers.", path);
        }

        foreach ((string place, IEnumerable<NodeProto> nodes) in model.Functions
            .Select(function => ($" of function '{function.Name}'", (IEnumerable<NodeProto>)function.Node)).Prepend(("", model.Graph.Node)))
        {
            if (nodes.FirstOrDefault(HoldsExternalData) is { } node)
            {
                string described = GraphIndex.Describe(node);
                throw new ZqfpException("ZQFP1011", $"{char.ToUpperInvariant(described[0])}{described[1..]}{place} keeps external data in "
                    + "an attribute or a subgraph, which cannot be carried over. Export the model with its weights as initializers of the "
                    + "main graph.", path);
            }
        }

        NodeForm.Require(
            model.Graph.Node.Concat(model.Functions.SelectMany(function => function.Node)),
            model.OpsetImport.First(opset => opset.Domain.Length == 0).Version, path);
        return new OnnxFile(path, model, stamp);
    }

    /// <summary>ONNX Runtime ends the whole process at some shapes whose dimensions no integer of 32 bits holds.</summary>
    private static void RequirePossibleShapes(GraphProto graph, string path)
    {
        foreach (ValueInfoProto value in graph.Input.Concat(graph.Output).Concat(graph.ValueInfo))
        {
            if (value.Type?.TensorType?.Shape?.Dim.FirstOrDefault(dim => dim.DimValue > int.MaxValue) is { } dim)
            {
                throw new ZqfpException("ZQFP1020",
                    $"'{value.Name}' is declared with a dimension of {dim.DimValue}, more than the {int.MaxValue} that one can have. "
                    + "Export the model again.",
                    path);
            }
        }

        foreach (GraphProto body in graph.Node.SelectMany(Subgraphs.Of))
        {
            RequirePossibleShapes(body, path);
        }
    }

    private static bool HoldsExternalData(NodeProto node) => node.Attribute.Any(HoldsExternalData);

    private static bool HoldsExternalData(AttributeProto attribute) =>
        attribute.Tensors.Append(attribute.T).Any(IsExternal)
        || attribute.SparseTensors.Append(attribute.SparseTensor).Any(IsExternal)
        || Subgraphs.Of(attribute).Any(HoldsExternalData);

    private static bool HoldsExternalData(GraphProto graph) =>
        graph.Initializer.Any(IsExternal) || graph.SparseInitializer.Any(IsExternal) || graph.Node.Any(HoldsExternalData);

    private static bool IsExternal(SparseTensorProto? sparse) => IsExternal(sparse?.Values) || IsExternal(sparse?.Indices);

    private static bool IsExternal(TensorProto? tensor) => tensor?.DataLocation == TensorProto.Types.DataLocation.External;

    /// <summary>The content of one of the model's tensors. Valid until <see cref="Dispose"/>.</summary>
    /// <exception cref="ZqfpException">ZQFP1002: external data missing or out of bounds. ZQFP1003: data does not fit the shape.</exception>
    public TensorData Read(TensorProto tensor) => _tensors.Open(tensor);

    /// <summary>Full paths of the external files that the model's initializers name, in ordinal order.</summary>
    /// <exception cref="ZqfpException">As <see cref="Read"/>.</exception>
    public IReadOnlyList<string> ExternalFiles()
    {
        foreach (TensorProto tensor in Graph.Initializer.Where(IsExternal))
        {
            _tensors.Open(tensor);
        }

        return [.. _tensors.Files.Order(StringComparer.Ordinal)];
    }

    /// <summary>
    /// Adds the model's files to the inputs of a run, as they were before anything of them was read.
    /// </summary>
    /// <exception cref="ZqfpException">As <see cref="Read"/>. ZQFP0018: one changed meanwhile.</exception>
    public void AddTo(InputFiles inputs, CancellationToken cancellation)
    {
        inputs.Add(Path, Stamp, cancellation);
        foreach (string file in ExternalFiles())
        {
            inputs.Add(file, _tensors.StampOf(file), cancellation);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _tensors.Dispose();
}
