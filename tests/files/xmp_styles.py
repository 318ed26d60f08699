"""XMP as other programs write it."""

NAMESPACES = """xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
    xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#" """

DIMENSIONS = 'xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#"'

LIGHTROOM = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0-c000">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:crs="http://ns.adobe.com/camera-raw/"
    xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
    xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#" {DIMENSIONS}
   xmp:Rating="4" crs:Note="two&#xA;lines &quot;and&quot; a tab&#x9;">
   <mwg-rs:Regions rdf:parseType="Resource">
    <mwg-rs:AppliedToDimensions stDim:w="4000" stDim:h="3000" stDim:unit="pixel"/>
    <mwg-rs:RegionList>
     <rdf:Bag>
      <rdf:li>
       <rdf:Description mwg-rs:Rotation="0.12500" mwg-rs:Name="Rex" mwg-rs:Type="Pet">
       <mwg-rs:Area stArea:h="0.2" stArea:w="0.2" stArea:x="0.6" stArea:y="0.4"/>
       </rdf:Description>
      </rdf:li>
      <rdf:li>
       <rdf:Description mwg-rs:Rotation="0.00000" mwg-rs:Type="Face">
       <mwg-rs:Area stArea:h="0.1" stArea:w="0.1" stArea:x="0.1" stArea:y="0.1"/>
       </rdf:Description>
      </rdf:li>
     </rdf:Bag>
    </mwg-rs:RegionList>
   </mwg-rs:Regions>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""

DIGIKAM = """<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:regions="http://www.metadataworkinggroup.com/schemas/regions/"
    xmlns:area="http://ns.adobe.com/xmp/sType/Area#" xmlns:mwg-rs="urn:another"
    xmlns:dc="http://purl.org/dc/elements/1.1/">
   <dc:subject><rdf:Bag><rdf:li>Haus &amp; Hof</rdf:li></rdf:Bag></dc:subject>
   <regions:Regions rdf:parseType="Resource">
    <regions:RegionList>
     <rdf:Bag>
      <rdf:li regions:Type="Focus" regions:FocusUsage="EvaluatedUsed">
       <regions:Area area:x="0.5" area:y="0.5" area:w="0.01" area:h="0.01"/>
       <regions:Extensions mwg-rs:kept="yes"><rdf:Bag><rdf:li>of mine</rdf:li></rdf:Bag>
       </regions:Extensions></rdf:li>
      <rdf:li regions:Name="" regions:Type="Face">
       <regions:Area area:x="0.5" area:y="0.5" area:w="0.1" area:h="0.1"/></rdf:li>
     </rdf:Bag>
    </regions:RegionList>
   </regions:Regions>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""

PICASA = f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {NAMESPACES}>
<rdf:Description rdf:about="" {DIMENSIONS}><mwg-rs:Regions><rdf:Description>
<mwg-rs:AppliedToDimensions><rdf:Description stDim:w="912" stDim:h="687" stDim:unit="pixel"/>
</mwg-rs:AppliedToDimensions><mwg-rs:RegionList><rdf:Seq><rdf:li><rdf:Description>
<mwg-rs:Type>BarCode</mwg-rs:Type><mwg-rs:BarCodeValue>42</mwg-rs:BarCodeValue>
<mwg-rs:Name>Ticket</mwg-rs:Name><mwg-rs:Description>facetool: of mine</mwg-rs:Description>
</rdf:Description></rdf:li></rdf:Seq></mwg-rs:RegionList></rdf:Description></mwg-rs:Regions>
</rdf:Description></rdf:RDF></x:xmpmeta>"""

EXIFTOOL = """<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?>
<x:xmpmeta xmlns:x='adobe:ns:meta/' x:xmptk='Image::ExifTool 12.57'>
<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>
 <rdf:Description rdf:about=''
  xmlns:mwg-rs='http://www.metadataworkinggroup.com/schemas/regions/'>
  <mwg-rs:Regions rdf:parseType='Resource'>
   <mwg-rs:AppliedToDimensions rdf:parseType='Resource'
    xmlns:stDim='http://ns.adobe.com/xap/1.0/sType/Dimensions#'>
    <stDim:h>3000</stDim:h><stDim:unit>pixel</stDim:unit><stDim:w>4000</stDim:w>
   </mwg-rs:AppliedToDimensions>
   <mwg-rs:RegionList>
    <rdf:Bag>
     <rdf:li rdf:parseType='Resource'>
      <mwg-rs:Name>Rex</mwg-rs:Name>
      <mwg-rs:Type>Pet</mwg-rs:Type>
     </rdf:li>
    </rdf:Bag>
   </mwg-rs:RegionList>
  </mwg-rs:Regions>
 </rdf:Description>
 <rdf:Description rdf:about='' xmlns:xmp='http://ns.adobe.com/xap/1.0/'>
  <xmp:Rating>4</xmp:Rating>
 </rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end='w'?>"""

ELSEWHERE = [LIGHTROOM, DIGIKAM, PICASA, EXIFTOOL]
"""What other programs write, of things that are no named faces."""
