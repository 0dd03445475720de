using System.Globalization;
using Google.Protobuf;
using Zqfp.SyntheticDecoder;

bool isMixture = args is ["experts", ..];
args = isMixture ? args[1..] : args;
if (args.Length is < 1 or > 7)
{
    Console.Error.WriteLine(
        "usage: dotnet run -c Release -- <model.onnx> [layers = 32] [stored layers = layers] [hidden = 4096] [inner = 11008] "
        + "[vocabulary = 32000] [heads of keys and values = hidden / 128]");
    Console.Error.WriteLine("With fewer stored layers than layers, several layers read the same bytes of the data file: the work is that "
        + "of all, the disk that of the stored.");
    Console.Error.WriteLine("or: dotnet run -c Release -- experts <model.onnx> [experts = 256] [hidden = 4096] [inner = 2048] [experts a "
        + "token = 6] [layers = 1], a mixture; of more than one layer the data file has the length alone, for plan");
    return 2;
}

int Argument(int index, int absent) => args.Length > index ? int.Parse(args[index], CultureInfo.InvariantCulture) : absent;

string data = args[0] + ".data";
if (isMixture)
{
    using (var weights = new RandomWeights(data, isHollow: Argument(5, 1) > 1))
    {
        var mixture = new Mixture(weights, Argument(1, 256), Argument(2, 4096), Argument(3, 2048), Argument(4, 6), Argument(5, 1));
        File.WriteAllBytes(args[0], mixture.Build().ToByteArray());
    }

    Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"{args[0]}: {Argument(5, 1)} x {Argument(1, 256)} experts, {new FileInfo(data).Length / 1e9:F2} GB of weights"));
    return 0;
}

int layers = Argument(1, 32);
using (var weights = new RandomWeights(data))
{
    int hidden = Argument(3, 4096);
    var decoder = new Decoder(
        weights, layers, Argument(2, layers), hidden, Argument(4, 11008), Argument(5, 32000), Argument(6, hidden / Decoder.HeadSize));
    File.WriteAllBytes(args[0], decoder.Build().ToByteArray());
}

Console.WriteLine(
    string.Create(CultureInfo.InvariantCulture, $"{args[0]}: {layers} layers, {new FileInfo(data).Length / 1e9:F2} GB of weights on disk"));
return 0;
