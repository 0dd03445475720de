using Google.Protobuf;
using Google.Protobuf.Collections;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.AttributeProto.Types;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>Damages a model in one or two places of its structure, as broken exporters and hostile files do.</summary>
internal sealed class ModelMutator(int seed)
{
    private static readonly long[] Extremes =
        [-1, 0, 1, 2, 3, 7, -7, 1 << 20, int.MaxValue, 1L << 31, 1L << 40, long.MaxValue, long.MinValue];

    private readonly Random _random = new(seed);

    /// <summary>Changes <paramref name="model"/>; returns what was done.</summary>
    public string Damage(ModelProto model) =>
        string.Join(", then ", Enumerable.Range(0, 1 + _random.Next(2)).Select(_ => DamageOnce(model)));

    private string DamageOnce(ModelProto model) => _random.Next(12) switch
    {
        < 6 => DamageNode(model),
        < 9 => DamageTensor(model),
        < 11 => DamageValue(model),
        _ => DamageModel(model),
    };

    private string DamageNode(ModelProto model)
    {
        RepeatedField<NodeProto> nodes = Nodes(model);
        if (nodes.Count == 0)
        {
            return "nothing";
        }

        NodeProto node = Pick(nodes);
        string what = $"{node.OpType} '{node.Name}'";
        switch (_random.Next(16))
        {
            case 0 when node.Input.Count > 0:
                node.Input.RemoveAt(_random.Next(node.Input.Count));
                return $"{what}: an input removed";
            case 1:
                node.Input.Clear();
                return $"{what}: no inputs";
            case 2 when node.Input.Count > 0:
                node.Input[_random.Next(node.Input.Count)] = string.Empty;
                return $"{what}: an input emptied";
            case 3 when node.Input.Count > 0:
                node.Input[_random.Next(node.Input.Count)] = "nowhere";
                return $"{what}: an input dangles";
            case 4 when node.Input.Count > 0:
                node.Input[_random.Next(node.Input.Count)] = AnyValue(model);
                return $"{what}: an input is another value";
            case 5:
                node.Input.Add(AnyValue(model));
                return $"{what}: an input more";
            case 6 when node.Output.Count > 0:
                node.Output.RemoveAt(_random.Next(node.Output.Count));
                return $"{what}: an output removed";
            case 7:
                node.Output.Clear();
                return $"{what}: no outputs";
            case 8 when node.Output.Count > 0:
                node.Output[0] = AnyValue(model);
                return $"{what}: makes another value";
            case 9:
                node.Output.Add("extra");
                return $"{what}: an output more";
            case 10:
                node.OpType = Pick(Nodes(model)).OpType;
                return $"{what}: became {node.OpType}";
            case 11:
                node.Domain = node.Domain.Length == 0 ? "com.microsoft" : string.Empty;
                return $"{what}: domain '{node.Domain}'";
            case 12:
                nodes.Remove(node);
                return $"{what}: removed";
            case 13:
                nodes.Insert(_random.Next(nodes.Count), node.Clone());
                return $"{what}: doubled";
            default:
                return $"{what}: {DamageAttribute(node)}";
        }
    }

    private string DamageAttribute(NodeProto node)
    {
        if (node.Attribute.Count == 0)
        {
            node.Attribute.Add(new AttributeProto { Name = Pick(["axis", "perm", "to", "equation", "alpha", "value"]) });
            return "an empty attribute more";
        }

        AttributeProto attribute = Pick(node.Attribute);
        switch (_random.Next(9))
        {
            case 0:
                node.Attribute.Remove(attribute);
                return $"without {attribute.Name}";
            case 1:
                attribute.Type = Pick([AttributeType.Int, AttributeType.Ints, AttributeType.String, AttributeType.Tensor,
                    AttributeType.Graph, AttributeType.Undefined, AttributeType.Float]);
                return $"{attribute.Name} said to be {attribute.Type}";
            case 2:
                (attribute.I, attribute.Type) = (Pick(Extremes), AttributeType.Int);
                return $"{attribute.Name} = {attribute.I}";
            case 3:
                attribute.Ints.Add(Pick(Extremes));
                return $"{attribute.Name} longer by {attribute.Ints[^1]}";
            case 4 when attribute.Ints.Count > 0:
                attribute.Ints[_random.Next(attribute.Ints.Count)] = Pick(Extremes);
                return $"{attribute.Name} = [{string.Join(", ", attribute.Ints)}]";
            case 5:
                attribute.Ints.Clear();
                return $"{attribute.Name} cleared";
            case 6:
                (attribute.S, attribute.Type) = (ByteString.CopyFromUtf8("?,->,"), AttributeType.String);
                return $"{attribute.Name} a text";
            case 7:
                (attribute.T, attribute.G, attribute.SparseTensor) = (null, null, null);
                return $"{attribute.Name} without content";
            default:
                attribute.RefAttrName = "absent";
                return $"{attribute.Name} refers to nothing";
        }
    }

    private string DamageTensor(ModelProto model)
    {
        TensorProto[] tensors =
        [
            .. model.Graph.Initializer,
            .. Nodes(model).SelectMany(node => node.Attribute).Select(attribute => attribute.T).OfType<TensorProto>()
        ];
        if (tensors.Length == 0)
        {
            return "nothing";
        }

        TensorProto tensor = Pick(tensors);
        string what = $"tensor '{tensor.Name}'";
        switch (_random.Next(10))
        {
            case 0 when tensor.Dims.Count > 0:
                tensor.Dims.RemoveAt(_random.Next(tensor.Dims.Count));
                return $"{what}: a dimension less";
            case 1:
                tensor.Dims.Add(Pick(Extremes));
                return $"{what}: a dimension {tensor.Dims[^1]} more";
            case 2 when tensor.Dims.Count > 0:
                tensor.Dims[_random.Next(tensor.Dims.Count)] = Pick(Extremes);
                return $"{what}: [{string.Join(", ", tensor.Dims)}]";
            case 3:
                tensor.DataType = _random.Next(-1, 28);
                return $"{what}: type {tensor.DataType}";
            case 4 when tensor.HasRawData && tensor.RawData.Length > 0:
                tensor.RawData = ByteString.CopyFrom(tensor.RawData.Span[.._random.Next(tensor.RawData.Length)]);
                return $"{what}: truncated";
            case 5:
                tensor.ClearRawData();
                return $"{what}: no data";
            case 6:
                tensor.DataLocation = DataLocation.External;
                return $"{what}: external";
            case 7:
                return model.Graph.Initializer.Remove(tensor) ? $"{what}: removed" : "nothing";
            case 8:
                model.Graph.Initializer.Add(tensor.Clone());
                return $"{what}: doubled";
            case 9 when tensor.Dims.Count > 0:
                tensor.Dims.Insert(0, 1);
                return $"{what}: [{string.Join(", ", tensor.Dims)}]";
            default:
                tensor.Name = AnyValue(model);
                return $"{what}: named '{tensor.Name}'";
        }
    }

    private string DamageValue(ModelProto model)
    {
        RepeatedField<ValueInfoProto> values = _random.Next(2) == 0 ? model.Graph.Input : model.Graph.Output;
        if (values.Count == 0)
        {
            return "nothing";
        }

        ValueInfoProto value = Pick(values);
        RepeatedField<TensorShapeProto.Types.Dimension>? dims = value.Type?.TensorType?.Shape?.Dim;
        string what = $"'{value.Name}'";
        switch (_random.Next(10))
        {
            case 0:
                values.Remove(value);
                return $"{what}: not declared";
            case 1:
                value.Type = null;
                return $"{what}: no type";
            case 2:
                value.Type = new TypeProto { SequenceType = new TypeProto.Types.Sequence() };
                return $"{what}: a sequence";
            case 3 when value.Type?.TensorType is { } tensor:
                tensor.ElemType = _random.Next(0, 24);
                return $"{what}: type {tensor.ElemType}";
            case 4 when value.Type?.TensorType is { } tensor:
                tensor.Shape = null;
                return $"{what}: no shape";
            case 5 when dims is { Count: > 0 }:
                dims.RemoveAt(_random.Next(dims.Count));
                return $"{what}: a dimension less";
            case 6 when dims is not null:
                dims.Add(new TensorShapeProto.Types.Dimension { DimValue = Pick(Extremes) });
                return $"{what}: a dimension {dims[^1].DimValue} more";
            case 7 or 8 when dims is { Count: > 0 }:
                int index = _random.Next(dims.Count);
                dims[index] = new TensorShapeProto.Types.Dimension { DimValue = Pick(Extremes) };
                return $"{what}: dimension {index} is {dims[index].DimValue}";
            default:
                value.Name = AnyValue(model);
                return $"{what}: named '{value.Name}'";
        }
    }

    private string DamageModel(ModelProto model)
    {
        switch (_random.Next(8))
        {
            case 0:
                model.Graph.Output.Clear();
                return "no outputs";
            case 1:
                model.Graph.Node.Clear();
                return "no nodes";
            case 2:
                Pick(model.OpsetImport).Version = Pick(Extremes);
                return "another operator set";
            case 3:
                model.OpsetImport.Clear();
                return "no operator sets";
            case 4:
                model.IrVersion = Pick(Extremes);
                return $"IR version {model.IrVersion}";
            case 5:
                model.OpsetImport.Add(Pick(model.OpsetImport).Clone());
                return "an operator set twice";
            case 6 when model.Functions.Count > 0:
                FunctionProto function = Pick(model.Functions);
                function.Node.Add(new NodeProto
                {
                    OpType = function.Name,
                    Domain = function.Domain,
                    Input = { function.Input },
                    Output = { "again" },
                });
                return "a function that calls itself";
            default:
                model.Graph.Input.Clear();
                return "no inputs";
        }
    }

    /// <summary>The main graph's nodes, or those of a function or of a body inside it.</summary>
    private RepeatedField<NodeProto> Nodes(ModelProto model)
    {
        RepeatedField<NodeProto>[] bodies =
        [
            .. model.Functions.Select(function => function.Node),
            .. model.Graph.Node.SelectMany(node => node.Attribute).Select(attribute => attribute.G?.Node).OfType<RepeatedField<NodeProto>>()
        ];
        return bodies.Length > 0 && _random.Next(3) == 0 ? Pick(bodies) : model.Graph.Node;
    }

    private string AnyValue(ModelProto model)
    {
        string[] names =
        [
            .. model.Graph.Input.Select(input => input.Name), .. model.Graph.Initializer.Select(tensor => tensor.Name),
            .. model.Graph.Node.SelectMany(node => node.Output)
        ];
        return names.Length > 0 ? Pick(names) : "any";
    }

    private T Pick<T>(IReadOnlyList<T> from) => from[_random.Next(from.Count)];
}
